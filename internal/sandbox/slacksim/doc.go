// Package slacksim is a stand-in for Slack: its Web API, its Socket Mode and the
// people of a small workspace, on loopback. It keeps state, measures what an app
// does against what Slack documents, and refuses what Slack refuses, so that an
// unchanged bot can be driven from the command to the message. It is no Slack:
// it shows nothing, searches nothing and forgets everything when it is closed.
package slacksim
