package findings

// Suppressions are all exceptions from the rules of all tools. docs/security-checks.md lists them (go test ./internal/findings -update).
var Suppressions = []Suppression{}
