package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// The sources, by their folder's name.
const (
	customer = iota
	accelerometer
	stepTrainer
	sources
)

var sourceNames = [sources]string{"customer", "accelerometer", "step_trainer"}

// output is the set of landing files. A file comes into being with its first row, so that none is empty.
type output struct {
	shape
	dir   string
	files map[version]*landingFile
	line  []byte // reused for every row
}

// version is a file as a delivery brings it.
type version struct {
	source, delivery int
	file             file
}

// openOutput makes the folders. A folder that is not empty is refused, or cleared of an earlier run's files.
func openOutput(dir string, s shape, force bool) (*output, error) {
	if err := prepare(dir, force); err != nil {
		return nil, err
	}
	out := &output{shape: s, dir: dir, files: map[version]*landingFile{}}
	for delivery := 1; delivery <= s.deliveries; delivery++ {
		for _, name := range sourceNames {
			if err := os.MkdirAll(landing(out.folder(delivery), name), 0o755); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// folder of a delivery: a single one needs none of its own.
func (o *output) folder(delivery int) string {
	if o.deliveries == 1 {
		return o.dir
	}
	return filepath.Join(o.dir, fmt.Sprintf("%02d", delivery))
}

func landing(dir, source string) string { return filepath.Join(dir, source, "landing") }

func prepare(dir string, force bool) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("-out: %w", err)
	case len(entries) > 0 && !force:
		return fmt.Errorf("-out %s is not empty: choose another folder, or give -force to replace what an earlier run wrote there", dir)
	}
	for _, entry := range entries {
		if regexp.MustCompile(`^\d\d+$`).MatchString(entry.Name()) {
			if err := clearDelivery(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return clearFiles(dir)
}

// clearDelivery removes the folder of an earlier run's delivery.
func clearDelivery(dir string) error {
	if err := clearFiles(dir); err != nil {
		return err
	}
	for _, source := range sourceNames {
		for _, folder := range []string{landing(dir, source), filepath.Join(dir, source)} {
			if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return os.Remove(dir)
}

// clearFiles removes the files of an earlier run from a folder with landing data.
func clearFiles(dir string) error {
	for _, source := range sourceNames {
		if err := clearLanding(dir, source); err != nil {
			return err
		}
	}
	for _, name := range []string{expectedFile, reasonsFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// clearLanding removes an earlier run's files. Others would be read with ours and make the expected counts wrong; they
// are not ours to remove.
func clearLanding(dir, source string) error {
	folder := landing(dir, source)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ours := regexp.MustCompile(`^` + source + `-\d{5}\.json(\.gz)?$`)
	for _, entry := range entries {
		if !ours.MatchString(entry.Name()) {
			return fmt.Errorf("%s is not from this generator: remove it or choose another -out", filepath.Join(folder, entry.Name()))
		}
	}
	for _, entry := range entries {
		if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// writeHousehold writes every copy of every row into the files that hold it. Rows that are not valid would be written
// here, accounted for by their outcome.
func (o *output) writeHousehold(h *household) error {
	for _, r := range h.records {
		for _, c := range r.copies {
			if err := o.write(customer, c.place, r.append(o.line[:0], c.spelling)); err != nil {
				return err
			}
		}
	}
	for _, s := range h.samples {
		for _, c := range s.copies {
			if err := o.write(accelerometer, c.place, s.append(o.line[:0], h.ticks, c.spelling)); err != nil {
				return err
			}
		}
	}
	for _, s := range h.steps {
		for _, c := range s.copies {
			if err := o.write(stepTrainer, c.place, s.append(o.line[:0], h.ticks, c.distance)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r record) append(line []byte, s spelling) []byte {
	line = append(line, `{"customerName":`...)
	line = append(line, quote(r.identity.name)...)
	line = append(line, `,"email":`...)
	line = append(line, r.identity.spelled[s]...)
	line = append(line, `,"phone":"`...)
	line = append(line, r.identity.phone...)
	line = append(line, `","birthDay":"`...)
	line = append(line, r.identity.birthday...)
	line = append(line, `","serialNumber":"`...)
	line = append(line, r.serial...)
	line = append(line, `","registrationDate":`...)
	line = strconv.AppendInt(line, r.identity.registered, 10)
	line = append(line, `,"lastUpdateDate":`...)
	line = strconv.AppendInt(line, r.updated, 10)
	line = r.research.append(line, "shareWithResearchAsOfDate")
	line = r.public.append(line, "shareWithPublicAsOfDate")
	line = r.friends.append(line, "shareWithFriendsAsOfDate")
	return append(line, "}\n"...)
}

func (s share) append(line []byte, field string) []byte {
	if s.form == shareAbsent {
		return line
	}
	line = append(line, `,"`...)
	line = append(line, field...)
	line = append(line, `":`...)
	if s.form == shareNull {
		return append(line, "null"...)
	}
	return strconv.AppendInt(line, s.date, 10) // 0 for shareZero
}

func (s sample) append(line []byte, ticks []int64, spelled spelling) []byte {
	line = append(line, `{"user":`...)
	line = append(line, s.person.spelled[spelled]...)
	line = append(line, `,"timestamp":`...)
	line = strconv.AppendInt(line, ticks[s.tick], 10)
	line = appendTenths(append(line, `,"x":`...), s.x)
	line = appendTenths(append(line, `,"y":`...), s.y)
	line = appendTenths(append(line, `,"z":`...), s.z)
	return append(line, "}\n"...)
}

// appendTenths writes a decimal without floating point, whose rounding may differ between machines.
func appendTenths(line []byte, tenths int) []byte {
	if tenths < 0 {
		line = append(line, '-')
		tenths = -tenths
	}
	line = strconv.AppendInt(line, int64(tenths/10), 10)
	return append(line, '.', byte('0'+tenths%10))
}

func (s step) append(line []byte, ticks []int64, distance int) []byte {
	line = append(line, `{"sensorReadingTime":`...)
	line = strconv.AppendInt(line, ticks[s.tick], 10)
	line = append(line, `,"serialNumber":"`...)
	line = append(line, s.serial...)
	line = append(line, `","distanceFromObject":`...)
	line = strconv.AppendInt(line, int64(distance), 10)
	return append(line, "}\n"...)
}

// write puts a row into all versions of its file that hold it.
func (o *output) write(source int, at place, line []byte) error {
	o.line = line // it may have grown
	last := at.file.delivery
	if o.changed(at.file) {
		last++
	}
	for delivery := at.file.delivery; delivery <= last; delivery++ {
		if !at.heldAfter(delivery) {
			continue
		}
		file, err := o.open(version{source, delivery, at.file})
		if err != nil {
			return err
		}
		if _, err := file.Write(line); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) open(v version) (*landingFile, error) {
	if file := o.files[v]; file != nil {
		return file, nil
	}
	file, err := createFile(o.path(v))
	if err == nil {
		o.files[v] = file
	}
	return file, err
}

// path of a landing file; of several, the last one is compressed.
func (o *output) path(v version) string {
	name := fmt.Sprintf("%s-%05d.json", sourceNames[v.source], o.index(v.file))
	if o.packed(v.file) {
		name += ".gz"
	}
	return filepath.Join(landing(o.folder(v.delivery), sourceNames[v.source]), name)
}

func (o *output) close() error {
	return o.each((*landingFile).close)
}

// abandon lets go of the files after an error, which is the one to report.
func (o *output) abandon() {
	_ = o.each(func(f *landingFile) error { return f.file.Close() })
}

func (o *output) each(do func(*landingFile) error) error {
	var err error
	for _, f := range o.files {
		err = errors.Join(err, do(f))
	}
	return err
}

// landingFile is a buffered file, compressed when its name ends in .gz.
type landingFile struct {
	*bufio.Writer
	compress *gzip.Writer
	file     *os.File
}

func createFile(path string) (*landingFile, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	f := &landingFile{file: file}
	var to io.Writer = file
	if filepath.Ext(path) == ".gz" {
		f.compress = gzip.NewWriter(file) // its header has neither name nor time, so the bytes repeat
		to = f.compress
	}
	f.Writer = bufio.NewWriterSize(to, 64<<10)
	return f, nil
}

func (f *landingFile) close() error {
	err := f.Flush()
	if f.compress != nil {
		err = errors.Join(err, f.compress.Close())
	}
	return errors.Join(err, f.file.Close())
}
