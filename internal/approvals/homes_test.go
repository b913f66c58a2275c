package approvals

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHomesThatAreBehind(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	behind := func() []string {
		users, err := s.homesBehind(t.Context())
		require.NoError(t, err)
		return users
	}
	assert.Empty(t, behind(), "nobody looks")
	submit(t, s)
	require.NoError(t, s.Looked(t.Context(), mira.User))
	require.NoError(t, s.Looked(t.Context(), jo.User))
	assert.Empty(t, behind(), "both were just drawn")
	r := submit(t, s)
	assert.ElementsMatch(t, []string{mira.User, jo.User}, behind())
	assert.Empty(t, behind(), "a change is handed out once, whichever replica asks")
	_, err := s.Cancel(t.Context(), r.ID, mira)
	require.NoError(t, err)
	require.NoError(t, s.Looked(t.Context(), jo.User))
	assert.Equal(t, []string{mira.User}, behind())
}

func TestHomesAreDrawn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	require.NoError(t, s.Looked(t.Context(), mira.User))
	require.NoError(t, s.Looked(t.Context(), jo.User))
	submit(t, s)
	drawn := make(chan string, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	homes := &Homes{Store: s, Draw: func(_ context.Context, user string) error {
		drawn <- user
		panic("a panic for one must not keep the other from theirs")
	}}
	go func() { ended <- homes.Run(ctx) }()
	got := []string{<-drawn, <-drawn}
	assert.ElementsMatch(t, []string{mira.User, jo.User}, got)
	cancel()
	require.NoError(t, <-ended)
}
