package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Erased is the verdict of a proof that found nothing, in anything that there is.
const Erased = "erased"

// Certificate is what the job erase_people says of a request to be forgotten, when it has looked through everything (R17). It holds no
// personal data: lakehouse/proof.py, which writes it, withholds names of objects that do.
type Certificate struct {
	Request      string                                `json:"request"`
	Verdict      string                                `json:"verdict"` // Erased, "not erased" or "not complete"
	Times        map[string]Moment                     `json:"times"`   // requested, erased, proven
	LookedAt     map[string]map[string]int64           `json:"looked_at"`
	Requests     struct{ Objects int64 }               `json:"requests"` // objects that hold requests, which go with the proof
	Found        map[string]int64                      `json:"found"`    // by kind of object, before anything was removed
	Removed      map[string]int64                      `json:"removed"`  // by what it was
	Done         map[string]any                        `json:"done"`     // by the erasure, before
	Left         []Trace                               `json:"left"`
	Unreadable   []Trace                               `json:"unreadable"`
	LeftByDesign []struct{ What, Holds, Until string } `json:"left_by_design"`
	Code         string                                `json:"code"` // of the jobs, with contracts and SELECTs
	Digest       string                                `json:"digest"`

	text []byte
}

// Moment is a time of a certificate.
type Moment struct {
	MS int64 `json:"ms"`
}

// Trace is a version of an object in which something was found, or that cannot be read.
type Trace struct {
	Store     string `json:"store"` // lake or results
	Key       string `json:"key"`
	Version   string `json:"version"`
	IsCurrent bool   `json:"is_current"`
	Kind      string `json:"kind"`
	Where     string `json:"where"`
	Reason    string `json:"reason"` // why it cannot be read
}

// ReadCertificate reads a certificate, and refuses one that was changed after it was written.
func ReadCertificate(text []byte) (Certificate, error) {
	read := Certificate{text: text}
	if err := json.Unmarshal(text, &read); err != nil {
		return Certificate{}, fmt.Errorf("the certificate is not what erase_people writes: %w", err)
	}
	digest, err := digestOf(text)
	if err != nil {
		return Certificate{}, err
	}
	if digest != read.Digest {
		return Certificate{}, fmt.Errorf("the certificate of request %s was changed after it was written: its digest is %s and says %s", read.Request, digest, read.Digest)
	}
	return read, nil
}

// digestOf is the SHA-256, hex, of a certificate without its digest, as canonical JSON: sorted keys, no blanks, UTF-8.
func digestOf(text []byte) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return "", err
	}
	delete(fields, "digest")
	var canonical bytes.Buffer
	encoder := json.NewEncoder(&canonical)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fields); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.TrimSuffix(asIs.Replace(canonical.String()), "\n")))
	return hex.EncodeToString(sum[:]), nil
}

// asIs takes back the escapes of the two line ends that Go writes and Python does not.
var asIs = strings.NewReplacer(`\\`, `\\`, `\u2028`, "\u2028", `\u2029`, "\u2029")

// WriteCertificate writes <request>.json, as it was read, and <request>.html, a page to print, into a folder. It returns the path of the
// page.
func WriteCertificate(read Certificate, folder string) (string, error) {
	style, err := page.ReadFile("page/report.css")
	if err != nil {
		return "", err
	}
	parsed, err := template.New("certificate.gohtml").Funcs(template.FuncMap{
		"count": Thousands, "words": words, "plural": Plural, "day": func(m Moment) string { return when(m.time()) },
		"iso": func(m Moment) string { return m.time().Format(time.RFC3339) },
	}).ParseFS(page, "page/certificate.gohtml")
	if err != nil {
		return "", err
	}
	var out strings.Builder
	if err := parsed.Execute(&out, struct {
		Certificate
		Style template.CSS
	}{read, template.CSS(style)}); err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(folder, read.Request+".json"), read.text, 0o644); err != nil {
		return "", err
	}
	path := filepath.Join(folder, read.Request+".html")
	return path, os.WriteFile(path, []byte(out.String()), 0o644)
}

func (m Moment) time() time.Time { return time.UnixMilli(m.MS).UTC() }

// Looked is a line of what was looked at.
type Looked struct {
	Kind                   string
	Objects, Noncurrent    int64 // versions that are current, and others
	Bytes, NoncurrentBytes int64
}

// Looks are those lines, by kind.
func (c Certificate) Looks() []Looked {
	var lines []Looked
	for kind, counts := range c.LookedAt {
		lines = append(lines, Looked{kind, counts["current_objects"], counts["noncurrent_objects"], counts["current_bytes"], counts["noncurrent_bytes"]})
	}
	slices.SortFunc(lines, func(a, b Looked) int { return cmp.Compare(a.Kind, b.Kind) })
	return lines
}

// Total is the sum of all lines.
func (c Certificate) Total() Looked {
	var total Looked
	for _, line := range c.Looks() {
		total.Objects += line.Objects
		total.Noncurrent += line.Noncurrent
		total.Bytes += line.Bytes
		total.NoncurrentBytes += line.NoncurrentBytes
	}
	return total
}

// Versions is how many versions of objects were looked at.
func (l Looked) Versions() int64 { return l.Objects + l.Noncurrent }

// Size is how many bytes that was.
func (l Looked) Size() int64 { return l.Bytes + l.NoncurrentBytes }

// IsErased says whether nothing is left.
func (c Certificate) IsErased() bool { return c.Verdict == Erased }

// FoundBefore is how many traces there were before the proof removed what held them.
func (c Certificate) FoundBefore() int64 {
	var sum int64
	for _, number := range c.Found {
		sum += number
	}
	return sum
}

// Happening is one of the certificate's times.
type Happening struct {
	What string
	Moment
}

// Happenings are its times, in their order.
func (c Certificate) Happenings() []Happening {
	var all []Happening
	for what, at := range c.Times {
		all = append(all, Happening{what, at})
	}
	slices.SortFunc(all, func(a, b Happening) int { return cmp.Or(cmp.Compare(a.MS, b.MS), cmp.Compare(a.What, b.What)) })
	return all
}

// deeds say what the numbers of an erasure count.
var deeds = map[string]string{
	"lines":       "lines taken out of landing files",
	"rewritten":   "landing files rewritten without them",
	"removed":     "landing files removed, with nothing left in them",
	"quarantined": "rows taken out of quarantines",
}

// Facts are what the erasure has done, with numbers as text.
func (c Certificate) Facts() [][2]string {
	var facts [][2]string
	for _, key := range slices.Sorted(maps.Keys(c.Done)) {
		text := fmt.Sprint(c.Done[key])
		if number, ok := c.Done[key].(float64); ok && number == float64(int64(number)) {
			text = Thousands(int64(number))
		}
		facts = append(facts, [2]string{cmp.Or(deeds[key], words(key)), text})
	}
	return facts
}
