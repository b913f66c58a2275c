package modals_test

import (
	"testing"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

func TestLost(t *testing.T) {
	t.Parallel()
	golden(t, "card-lost", modals.Lost("req_7Q2M4KX9TB"))
}
