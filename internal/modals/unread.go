package modals

import (
	"cmp"
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

const (
	mostUnread = 120 // characters of a note that name projects
	mostAdvice = 200 // more than the longest advice has, an address of 39 characters in it
)

// UnreadNote says in the form which current values are missing, what that means, and what
// to do about it. It is no markup.
func UnreadNote(t *atlas.Type, unread []Unread) string {
	var missing, refused, otherwise, silent []string
	var refusal *atlas.Error // the first one
	for _, u := range unread {
		name := line(nameOf(u.Project), mostName)
		var answer *atlas.Error
		switch {
		case !errors.As(u.Why, &answer) || answer.Temporary():
			silent = append(silent, name)
		case answer.Code == "INTEGRATION_NOT_CONFIGURED":
			missing = append(missing, name)
		case refusal == nil || refusal.Answer() == answer.Answer():
			refused = append(refused, name)
			refusal = cmp.Or(refusal, answer)
		default:
			otherwise = append(otherwise, name)
		}
	}
	var sentences []string
	if refusal != nil {
		sentences = append(sentences, fmt.Sprintf("Atlas refuses the bot in %s (%s), so a request for it would be rejected.",
			enumerate(refused, mostUnread), refusal.Answer()), line(refusal.Advice(), mostAdvice))
	}
	if len(otherwise) > 0 {
		sentences = append(sentences, fmt.Sprintf("In %s Atlas refuses the bot for another reason.", enumerate(otherwise, mostUnread)))
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
		have := "has"
		if len(silent) > 1 {
			have = "have"
		}
		sentences = append(sentences, fmt.Sprintf("Atlas did not say in time what %s %s now. The form works without; the approver will see both.",
			enumerate(silent, mostUnread), have))
	}
	return strings.TrimSpace(strings.Join(sentences, " "))
}
