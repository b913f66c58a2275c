// Package approvals decides whether, when and by whom a change to Atlas
// integrations is made, and sees it through: the states of a request, the rules
// between them, the Redis that remembers, the reconciler that acts, the audit
// trail. It knows Slack only as references to messages that it never reads, so
// every rule can be tested without a workspace.
//
// A request travels once through these files: request.go says what it is and
// moves.go what can happen to it; store.go carries each move out as one Lua
// script; reconciler.go does what the state calls for; projector.go keeps the
// messages in step with it.
package approvals
