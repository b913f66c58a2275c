package modals

import (
	"errors"
	"fmt"
	"strings"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
)

// Unread is a project whose current values are not known, and why.
type Unread struct {
	Project atlas.Project
	Why     error
}

// mostUnread is how many characters of a note name projects.
const mostUnread = 120

// UnreadNote says in the form which current values are missing, what that means, and what
// to do about it. It is no markup.
func UnreadNote(t *atlas.Type, unread []Unread) string {
	var missing, refused, silent []string
	var refusal *atlas.Error // the first one
	for _, u := range unread {
		name := line(nameOf(u.Project), mostName)
		var answer *atlas.Error
		switch {
		case !errors.As(u.Why, &answer) || answer.Temporary():
			silent = append(silent, name)
		case answer.Code == "INTEGRATION_NOT_CONFIGURED":
			missing = append(missing, name)
		default:
			refused = append(refused, name)
			if refusal == nil {
				refusal = answer
			}
		}
	}
	var sentences []string
	if refusal != nil {
		sentences = append(sentences, fmt.Sprintf("Atlas refuses the bot in %s (%s), so a request for it would be rejected.",
			enumerate(refused, mostUnread), refusal.Answer()), line(refusal.Advice(), 150))
	}
	switch len(missing) {
	case 0:
	case 1:
		sentences = append(sentences, fmt.Sprintf("%s has no %s integration, so there is nothing to update. Set it up in Atlas first, or take the project out.",
			missing[0], t.Title))
	default:
		sentences = append(sentences, fmt.Sprintf("%s have no %s integration, and one such project rejects the whole request. Set it up in Atlas first, or take them out.",
			enumerate(missing, mostUnread), t.Title))
	}
	if len(silent) > 0 && len(sentences) == 0 {
		sentences = append(sentences, fmt.Sprintf("Atlas did not say in time what %s has now. The form works without; the approver will see both.",
			enumerate(silent, mostUnread)))
	}
	return strings.TrimSpace(strings.Join(sentences, " "))
}
