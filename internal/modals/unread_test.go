package modals_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/atlas"
	"github.com/atlas-integration-bot/atlas-integration-bot/internal/modals"
)

func TestUnreadNote(t *testing.T) {
	t.Parallel()
	notConfigured := &atlas.Error{Status: 404, Code: "INTEGRATION_NOT_CONFIGURED"}
	noRole := &atlas.Error{Status: 401, Code: "USER_UNAUTHORIZED"}
	noAccess := &atlas.Error{Status: 403, Code: "IP_ADDRESS_NOT_ON_ACCESS_LIST", Parameters: []string{"2001:db8:1111:2222:3333:4444:5555:6666"}}
	of := func(why error, names ...string) (unread []modals.Unread) {
		for _, name := range names {
			unread = append(unread, modals.Unread{Project: atlas.Project{Name: name}, Why: fmt.Errorf("get: %w", why)})
		}
		return unread
	}
	pagerDuty := typeOf(t, "PAGER_DUTY")
	for _, tt := range []struct {
		name   string
		unread []modals.Unread
		want   string
	}{
		{"nothing", nil, ""},
		{"no answer", of(context.DeadlineExceeded, "a"), "Atlas did not say in time what a has now. The form works without; the approver will see both."},
		{"a limit", of(&atlas.Error{Status: 429}, "a", "b"), "Atlas did not say in time what a and b have now. The form works without; the approver will see both."},
		{"not configured", of(notConfigured, "a"), "a has no PagerDuty integration, so there is nothing to update. Set it up in Atlas first, or take the project out."},
		{
			"several not configured", of(notConfigured, "a", "b", "c"),
			"a, b and c have no PagerDuty integration, and one such project rejects the whole request. Set it up in Atlas first, or take them out.",
		},
		{
			"refused", of(noRole, "a"),
			"Atlas refuses the bot in a (401 USER_UNAUTHORIZED), so a request for it would be rejected. " + noRole.Advice(),
		},
		{
			"refused with the longest advice", of(noAccess, "a"),
			"Atlas refuses the bot in a (403 IP_ADDRESS_NOT_ON_ACCESS_LIST), so a request for it would be rejected. " + noAccess.Advice(),
		},
		{
			"refused for several reasons", append(append(of(noRole, "a"), of(noAccess, "b")...), of(noRole, "c")...),
			"Atlas refuses the bot in a and c (401 USER_UNAUTHORIZED), so a request for it would be rejected. " + noRole.Advice() +
				" In b Atlas refuses the bot for another reason.",
		},
		{
			"all of it", append(append(of(notConfigured, "a"), of(context.Canceled, "b")...), of(&atlas.Error{Status: 404, Code: "GROUP_NOT_FOUND"}, "c", "d")...),
			"Atlas refuses the bot in c and d (404 GROUP_NOT_FOUND), so a request for it would be rejected. " + (&atlas.Error{Status: 404, Code: "GROUP_NOT_FOUND"}).Advice() +
				" a has no PagerDuty integration, so there is nothing to update. Set it up in Atlas first, or take the project out.",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, modals.UnreadNote(pagerDuty, tt.unread))
		})
	}
	long := make([]string, 20)
	for i := range long {
		long[i] = fmt.Sprintf("%d%s", i, strings.Repeat("x", 70))
	}
	note := modals.UnreadNote(pagerDuty, slices.Concat(of(notConfigured, long...), of(noAccess, long...), of(noRole, long...)))
	assert.Contains(t, note, "and 19 more have no PagerDuty integration")
	view := string(pretty(t, modals.Form{Note: note}.View()))
	assert.Contains(t, view, "Set it up in Atlas first, or take them out.", "the form has room for all of it")
}
