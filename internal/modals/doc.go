// Package modals turns requests and integrations into what Slack shows, views
// and messages of Block Kit, and what people submitted back into settings. It
// does nothing else: no function here calls anything, waits or remembers, so a
// screen is reviewed as a file in testdata.
//
// Every screen stays within Slack's limits whatever Atlas and people wrote.
// What people wrote is shown as they wrote it and never as markup. What was
// typed into a secret input appears nowhere.
package modals
