package cloud

// Overlap says whether two patterns, with the wildcards * and ? of IAM, have a text in common.
func Overlap(a, b string) bool {
	// reach[j] says whether what was read of a has a text in common with the first j characters of b.
	reach := make([]bool, len(b)+1)
	reach[0] = true
	for j := range len(b) {
		reach[j+1] = reach[j] && b[j] == '*'
	}
	for i := range len(a) {
		next := make([]bool, len(b)+1)
		next[0] = reach[0] && a[i] == '*'
		for j := range len(b) {
			if a[i] == '*' || b[j] == '*' {
				next[j+1] = reach[j+1] || next[j]
			} else {
				next[j+1] = reach[j] && (a[i] == b[j] || a[i] == '?' || b[j] == '?')
			}
		}
		reach = next
	}
	return reach[len(b)]
}
