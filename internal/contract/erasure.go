package contract

import "slices"

// ErasePeople is the job that erases people who asked for it, and proves that nothing of them is left (R17). It is the job of no
// table: it takes rows out of many.
const ErasePeople = "erase_people"

// ErasureRequests holds who asked to be forgotten.
const ErasureRequests = "erasure_requests"

// Objects, and folders with a slash at their end, that the job that erases people keeps for itself.
const (
	ErasurePending      = "erasure/state/pending.json" // requests that are done and not proven yet
	ErasureProofs       = "erasure/proofs/"            // people of whom it is to be proven once more, <request id>.json
	ErasureCertificates = "erasure/certificates/"      // what was proven, <request id>/<run>.json
)

// ErasureState is all that the erasure keeps beside the tables. A lake has it whether or not a stage erases people.
var ErasureState = []string{ErasureSecret, ErasureRewritten, ErasurePending, ErasureProofs, ErasureCertificates}

// Consults are the objects beside the tables that the job reads and does not write.
func (w Work) Consults() []string {
	if !slices.Contains(w.Reads, ErasureLedger) {
		return nil
	}
	return []string{ErasureSecret, ErasureRewritten}
}

// Erasable are the tables out of which people are erased: what was delivered, the requests, and every Iceberg table. The others hold
// nobody.
func (s Set) Erasable() Set {
	return slices.DeleteFunc(slices.Clone(s), func(table Contract) bool {
		return table.Format != Iceberg && table.Zone != Landing && table.Zone != Requests
	})
}
