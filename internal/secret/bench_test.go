package secret_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/secret"
)

func BenchmarkSeal(b *testing.B) {
	s, values := sealerOf(b)
	b.ReportAllocs()
	for b.Loop() {
		_, err := s.Seal(values, associated)
		require.NoError(b, err)
	}
}

func BenchmarkOpen(b *testing.B) {
	s, values := sealerOf(b)
	sealed, err := s.Seal(values, associated)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := s.Open(sealed, associated)
		require.NoError(b, err)
	}
}

func BenchmarkFingerprint(b *testing.B) {
	s, values := sealerOf(b)
	b.ReportAllocs()
	for b.Loop() {
		require.NotEmpty(b, s.Fingerprint(values["serviceKey"]))
	}
}

func sealerOf(b *testing.B) (*secret.Sealer, map[string]secret.Text) {
	b.Helper()
	keyset, err := secret.NewKeyset()
	require.NoError(b, err)
	s, err := secret.NewSealer(keyset)
	require.NoError(b, err)
	return s, map[string]secret.Text{"serviceKey": secret.New("0123456789abcdef0123456789abcdef")}
}
