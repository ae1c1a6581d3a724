package zoneflow

import (
	"strings"

	"stedi-lakehouse/internal/contract"
)

// Object is the name in a grant of one object of the lake or, with a slash at the end of the key, of all in a folder. Of an object in a
// table's folder it means what a policy says of exactly this key: whoever may do something in the whole folder has a right on the table.
func Object(key string) string { return objectName + key }

const objectName = "object "

// beside are the objects that the erasure keeps beside the tables, in the bucket of its ledger.
func beside(tables []target) []target {
	var found []target
	for _, ledger := range tables {
		if ledger.name != contract.ErasureLedger {
			continue
		}
		for _, key := range contract.ErasureState {
			found = append(found, target{name: Object(key), bucket: ledger.bucket, prefix: key})
		}
	}
	return found
}

// alone are the names of the objects in folders of tables that grants name, by key.
func alone(grants []Grant) map[string]string {
	found := map[string]string{}
	for _, grant := range grants {
		for name := range grant.Rights {
			if key, isObject := strings.CutPrefix(name, objectName); isObject {
				found[key] = name
			}
		}
	}
	return found
}

// keys is a pattern for the keys in a folder; of an object it is that key.
func (t target) keys() string {
	if strings.HasSuffix(t.prefix, "/") {
		return t.prefix + "*"
	}
	return t.prefix
}
