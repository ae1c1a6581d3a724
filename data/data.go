// Package data carries the table contracts into the Go program. The files are the only place where a schema is written;
// see internal/contract for what they may say.
package data

import "embed"

// Contracts holds contracts/<table>.json, one file a table, and contracts/each_source/<zone>.json for tables that every source has.
//
//go:embed contracts/*.json contracts/each_source/*.json
var Contracts embed.FS
