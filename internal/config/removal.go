package config

import "fmt"

// removalMistakes sees that the data of stage prod is not removed by one wrong setting: dataRemoval is the first switch, and the
// second, which names the lake, must be given with it and is of no use without it.
func (s Stage) removalMistakes(allowed any) []error {
	found := &findings{stage: s.Name}
	removes := s.Name == Production && s.DataRemoval != Retain
	switch {
	case removes && allowed == nil:
		found.unless(false, "dataRemoval", s.DataRemoval, fmt.Sprintf("%q: stage %s removes data only with -c %s=%s as well",
			Retain, Production, AllowDataRemovalKey, s.LakeName))
	case removes:
		found.oneOf(AllowDataRemovalKey, fmt.Sprint(allowed), s.LakeName)
	case allowed != nil:
		found.unless(false, AllowDataRemovalKey, allowed, fmt.Sprintf("nothing, except to remove the data of stage %s with %s=%s or %s",
			Production, DataRemovalKey, Delete, DeleteIfEmpty))
	}
	return found.errors
}
