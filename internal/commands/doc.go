// Package commands is where Slack comes in: slash commands, clicks, submissions.
// It decides who may do what, calls approvals, and answers with what modals draws.
// It is also the Notifier through which a request's messages follow its state.
//
// Nothing is decided here that the scripts of approvals do not check again, and
// no payload is ever logged: what people type may be a key.
package commands
