package drive

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Nobody goes on before all are there, and nobody waits for those who have left.
func TestBarrier(t *testing.T) {
	t.Parallel()
	const n, rounds = 5, 100
	b := newBarrier(n, func(int) {})
	var arrived atomic.Int64
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for round := range rounds {
				if i == 0 && round == rounds/2 {
					b.leave()
					return
				}
				arrived.Add(1)
				b.wait()
				least := int64((round + 1) * n)
				if round >= rounds/2 {
					least = int64(rounds/2*n + (round+1-rounds/2)*(n-1))
				}
				assert.GreaterOrEqual(t, arrived.Load(), least)
			}
		})
	}
	all.Wait()
}

func TestNamesAreOfOneLength(t *testing.T) {
	t.Parallel()
	for _, names := range Names(300) {
		assert.Len(t, names, 300)
		for _, name := range names {
			assert.Len(t, name, len(names[0]))
		}
	}
}
