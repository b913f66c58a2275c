package approvals

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

type scripter = *redis.Script

// explain turns an error of the Atlas client into sentences for people, and says
// whether Atlas' answer is final: anything else may have worked, or may work later.
func explain(err error) (sentences string, final bool) {
	var refusal *atlas.Error
	switch {
	case err == nil:
		return "", false
	case errors.Is(err, atlas.ErrNotSent):
		return "The bot did not send this to Atlas, because Atlas would refuse it. Make a new request.", true
	case !errors.As(err, &refusal):
		return "Atlas does not answer at the moment. The bot keeps trying.", false
	case refusal.Temporary():
		return fmt.Sprintf("Atlas cannot take the change at the moment (%s). The bot keeps trying.", refusal.Answer()), false
	}
	sentences = fmt.Sprintf("Atlas answered %s", refusal.Answer())
	if refusal.Detail != "" {
		sentences += ": " + refusal.Detail
	}
	for _, field := range refusal.Fields {
		sentences += fmt.Sprintf("\n%s: %s", field.Field, field.Say)
	}
	if advice := refusal.Advice(); advice != "" {
		sentences += "\n" + advice
	}
	return sentences, true
}

func notConfigured(err error) bool {
	var refusal *atlas.Error
	return errors.As(err, &refusal) && refusal.Code == "INTEGRATION_NOT_CONFIGURED"
}

// encode gives the JSON of a value that always has one.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return string(text)
}
