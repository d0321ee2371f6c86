package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/huisclos/huisclos/examples/internal/mediafile"
	"github.com/huisclos/huisclos/meet"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// playable is a media file that was checked, and the track it feeds.
type playable struct {
	file   string
	source *mediafile.Source
	track  *webrtc.TrackLocalStaticRTP
}

// openMedia checks files before anybody hears of us.
func openMedia(files []string) ([]playable, error) {
	all := make([]playable, len(files))
	for i, file := range files {
		source, err := mediafile.Open(file)
		if err != nil {
			return nil, badInput("--play: %w", err)
		}
		if all[i], err = newPlayable(file, i, source); err != nil {
			return nil, badInput("--play: %s: %w", file, err)
		}
	}
	return all, nil
}

func newPlayable(file string, i int, source *mediafile.Source) (playable, error) {
	// These names stay between pion and us: they don't travel.
	track, err := webrtc.NewTrackLocalStaticRTP(source.Codec(), "file-"+strconv.Itoa(i), "headless")
	return playable{filepath.Base(file), source, track}, err
}

func (f playable) data() fileData { return fileData{File: f.file, Kind: f.source.Kind().String()} }

// play publishes files and feeds their tracks, all from one moment on, so that sound and pictures keep together. It
// returns when the files have ended. A file that can't be published is reported and left out.
func play(ctx context.Context, m *meet.Meeting, files []playable, loop bool, out *output) {
	publications := make([]*meet.Publication, len(files))
	for i, f := range files {
		p, err := m.Publish(ctx, f.track, meet.PublishOptions{})
		if err != nil {
			out.event("error", errorData{Error: f.file + ": " + oneLine(err)}, "can't send %s: %v", f.file, err)
			continue
		}
		publications[i] = p
	}
	ended := make(chan struct{})
	start, playing := time.Now(), 0
	for i, p := range publications {
		if p == nil {
			continue
		}
		playing++
		f := files[i]
		out.event("play_started", f.data(), "sending %s", f.file)
		go func() {
			defer func() { ended <- struct{}{} }()
			err := feed(ctx, f.source, start, loop, f.track.WriteRTP)
			if err == nil {
				err = wait(ctx, linger)
			}
			// The others' recordings end here. At the end of the meeting it is closed already.
			err = errors.Join(err, p.Close())
			if err == nil {
				out.event("play_ended", f.data(), "%s has ended", f.file)
			} else if ctx.Err() == nil {
				out.event("error", errorData{Error: f.file + ": " + oneLine(err)}, "stopped sending %s: %v", f.file, err)
			}
		}()
	}
	for range playing {
		<-ended
	}
}

// linger is how long a track outlives its file, for what is under way to arrive before word that it has ended.
const linger = 200 * time.Millisecond

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// feed writes the packets of a source when their times have come, counted from start, so that no error adds up. It
// returns nil when the last frame has lasted, and else why it stopped.
func feed(ctx context.Context, source *mediafile.Source, start time.Time, loop bool, write func(*rtp.Packet) error) error {
	for {
		packets, at, err := source.NextPackets()
		switch {
		case errors.Is(err, io.EOF) && loop:
			source.Rewind()
			continue
		case errors.Is(err, io.EOF):
			return wait(ctx, time.Until(start.Add(source.Duration())))
		case err != nil:
			return err
		}
		if err := wait(ctx, time.Until(start.Add(at))); err != nil {
			return err
		}
		for _, p := range packets {
			if err := write(p); err != nil {
				return err
			}
		}
	}
}
