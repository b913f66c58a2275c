// Package atlas is what the bot knows of MongoDB Atlas: the catalog of
// third-party integration types with their fields, what Atlas shows of an
// integration, and a client of the Admin API for them.
//
// The catalog is data, and the only place that names a field: forms, checks, the
// body of a PUT, redaction, the diff and the documentation all follow it.
//
// It is not a general Atlas client, and it knows nothing of Slack or of
// approvals. A project is what the API calls a group.
package atlas
