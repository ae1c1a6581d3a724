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
	dir   string
	files [sources][]*landingFile
	line  []byte // reused for every row
}

// openOutput makes the folders. A folder that is not empty is refused, or cleared of an earlier run's files.
func openOutput(dir string, files int, force bool) (*output, error) {
	if err := prepare(dir, force); err != nil {
		return nil, err
	}
	out := &output{dir: dir}
	for s, name := range sourceNames {
		if err := os.MkdirAll(landing(dir, name), 0o755); err != nil {
			return nil, err
		}
		out.files[s] = make([]*landingFile, files)
	}
	return out, nil
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

// writeHousehold writes the rows of a household into the files of its home number. Earlier customer records and rows
// delivered again go elsewhere. Rows that are not valid would be written here, accounted for by their outcome.
func (o *output) writeHousehold(h *household, home int, elsewhere func() int) error {
	for _, r := range h.records {
		file := home
		if !r.current {
			file = elsewhere()
		}
		if err := o.write(customer, file, r.append(o.line[:0], r.spelling)); err != nil {
			return err
		}
		for _, spelling := range r.copies {
			if err := o.write(customer, elsewhere(), r.append(o.line[:0], spelling)); err != nil {
				return err
			}
		}
	}
	for _, s := range h.samples {
		if err := o.write(accelerometer, home, s.append(o.line[:0], h.ticks, s.spelling)); err != nil {
			return err
		}
		for _, spelling := range s.copies {
			if err := o.write(accelerometer, elsewhere(), s.append(o.line[:0], h.ticks, spelling)); err != nil {
				return err
			}
		}
	}
	for _, s := range h.steps {
		file := home
		for _, distance := range s.distances {
			if err := o.write(stepTrainer, file, s.append(o.line[:0], h.ticks, distance)); err != nil {
				return err
			}
			file = elsewhere()
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

func (o *output) write(source, number int, line []byte) error {
	o.line = line // it may have grown
	file := o.files[source][number]
	if file == nil {
		var err error
		if file, err = createFile(o.path(source, number)); err != nil {
			return err
		}
		o.files[source][number] = file
	}
	_, err := file.Write(line)
	return err
}

// path of a landing file; of several, the last one is compressed.
func (o *output) path(source, number int) string {
	name := fmt.Sprintf("%s-%05d.json", sourceNames[source], number)
	if last := len(o.files[source]) - 1; number == last && last > 0 {
		name += ".gz"
	}
	return filepath.Join(landing(o.dir, sourceNames[source]), name)
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
	for _, files := range o.files {
		for _, f := range files {
			if f != nil {
				err = errors.Join(err, do(f))
			}
		}
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
