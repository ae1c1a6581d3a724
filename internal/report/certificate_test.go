package report

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

func readCertificate(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/certificate.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The file was written by Python, with a name of every kind of character in it.
func TestDigestIsThatOfTheJob(t *testing.T) {
	text := readCertificate(t)
	read, err := ReadCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	if read.IsErased() || read.FoundBefore() != 2 || read.Total() != (Looked{Objects: 15, Noncurrent: 1, Bytes: 1238567, NoncurrentBytes: 99}) {
		t.Errorf("the certificate is %+v, want something left of 2 traces in 16 versions", read)
	}
	for _, change := range [][2]string{{`"lines": 1041`, `"lines": 1042`}, {`"not erased"`, `"erased"`}} {
		changed := bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1)
		if _, err := ReadCertificate(changed); err == nil || !strings.Contains(err.Error(), "was changed after it was written") {
			t.Errorf("with %s: %v, want an error about a change", change[1], err)
		}
	}
	if _, err := ReadCertificate([]byte("[]")); err == nil {
		t.Error("a list was read as a certificate")
	}
}

func TestPageOfACertificate(t *testing.T) {
	text := readCertificate(t)
	read, err := ReadCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path, err := WriteCertificate(read, folder)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(folder + "/2026-11-27-1a2b3c4d.json")
	if err != nil || !bytes.Equal(kept, text) {
		t.Errorf("the JSON beside the page is not what was fetched: %v", err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	for _, part := range []string{
		"Certificate of erasure", "✗ Erasure 2026-11-27-1a2b3c4d", "Something is left", "käse &lt;b&gt;&amp;", "line 7", "cannot be read now (ClientError)",
		"1,234,567", "1,041", "noncurrent versions", "lines taken out of landing files", "18 November 2026, 13:06:40 UTC", "keys of objects, none of their content", read.Digest,
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page does not hold %q", part)
		}
	}
	if asked, done := strings.Index(page, `scope="row">requested`), strings.Index(page, `scope="row">proven`); asked < 0 || done < asked {
		t.Error("the times are not in their order")
	}
	if regexp.MustCompile(`<script|(?:src|href)="?(?:https?:)?//`).MatchString(page) || !strings.Contains(page, `content="default-src 'none';`) {
		t.Error("the page runs something, or names something outside of it")
	}
}
