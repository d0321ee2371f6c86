package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/huisclos/huisclos/examples/internal/mediafile"
	"github.com/huisclos/huisclos/meet"
	"github.com/pion/webrtc/v4"
)

// recordings writes remote tracks to files of a folder.
type recordings struct {
	dir string
	out *output

	mu     sync.Mutex
	counts map[string]int // files so far, by member and kind
	tasks  sync.WaitGroup
}

// newRecordings makes the folder where there is none, readable for its owner only.
func newRecordings(dir string, out *output) (*recordings, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, badInput("--record: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, badInput("--record: %s is not a folder", dir)
	}
	return &recordings{dir: dir, out: out, counts: map[string]int{}}, nil
}

// add records a track until it ends.
func (r *recordings) add(t *meet.RemoteTrack, member string) {
	file, recorder, err := r.create(member, t.Kind().String(), t.Codec().MimeType)
	if err != nil {
		r.failed(member, err)
		return
	}
	r.tasks.Add(1)
	go func() {
		defer r.tasks.Done()
		err := errors.Join(copyTrack(recorder, t), recorder.Close())
		if err != nil {
			r.failed(member, err)
		}
		d := recordedData{file, member, t.Kind().String(), recorder.Frames(), recorder.Dropped()}
		r.out.event("recorded", d, "recorded %s of %s: %d frames, %d missing", file, member, d.Frames, d.Dropped)
	}()
}

func (r *recordings) failed(member string, err error) {
	r.out.event("error", errorData{Error: "recording " + member + ": " + oneLine(err)}, "can't record %s: %v", member, err)
}

// create makes the next free file for a member and kind: files of earlier runs are never touched.
func (r *recordings) create(member, kind, mimeType string) (string, *mediafile.Recorder, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	stem := mediafile.SafeName(member) + "-" + kind
	for {
		r.counts[stem]++
		file := fmt.Sprintf("%s-%d%s", stem, r.counts[stem], mediafile.Extension(mimeType))
		recorder, err := mediafile.NewRecorder(filepath.Join(r.dir, file), mimeType)
		if !errors.Is(err, fs.ErrExist) {
			return file, recorder, err
		}
	}
}

func copyTrack(recorder *mediafile.Recorder, t *meet.RemoteTrack) error {
	for {
		p, _, err := t.ReadRTP()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := recorder.WriteRTP(p); err != nil {
			return err
		}
		if p.Marker && t.Kind() == webrtc.RTPCodecTypeVideo && recorder.NeedsKeyFrame() {
			t.RequestKeyFrame() // a camera answers; a file has to come to one
		}
	}
}

// wait returns when all files are complete, which is when all tracks have ended.
func (r *recordings) wait() { r.tasks.Wait() }
