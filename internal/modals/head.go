package modals

import (
	"fmt"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/approvals"
)

// TrailHead is the post of where the audit trail ends.
func TrailHead(head approvals.Head) Message {
	return Say(fmt.Sprintf(":link: The audit trail now ends with %s. There is nothing to do: while this message is here, nobody can cut off what was "+
		"written before it without being noticed by %s.", code(head.Hash, 80), code("bot audit verify -head "+head.Hash, 120)))
}
