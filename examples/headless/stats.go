package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/huisclos/huisclos/meet"
)

// statsData are the counters of all remote tracks, those that are over included.
type statsData struct {
	Tracks []trackStats `json:"tracks"`
}

// trackStats are those of one track. Bitrate is in bits a second of media, since the stats before or, the first time,
// since the track was added; rtt_ms is absent where it isn't known.
type trackStats struct {
	trackData
	Packets       uint64  `json:"packets"`
	Lost          uint64  `json:"lost"`
	Undecryptable uint64  `json:"undecryptable"`
	Repeated      uint64  `json:"repeated"`
	Frames        uint64  `json:"frames"`
	Bitrate       uint64  `json:"bitrate"`
	RTT           float64 `json:"rtt_ms,omitempty"`
	Over          bool    `json:"over"`
}

// tracks remembers the remote tracks of a meeting, to count after their end.
type tracks struct {
	mu  sync.Mutex
	all []*trackRecord
}

type trackRecord struct {
	track *meet.RemoteTrack
	data  trackData
	bytes uint64 // when it was last looked at
	at    time.Time
	rtt   time.Duration
	over  bool
}

// add remembers a track; false says that it was there before.
func (t *tracks) add(track *meet.RemoteTrack, data trackData, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.all {
		if r.track == track {
			return false
		}
	}
	t.all = append(t.all, &trackRecord{track: track, data: data, at: now})
	return true
}

// remove notes that a track is over, and returns what is known of it; false for one that isn't known.
func (t *tracks) remove(track *meet.RemoteTrack) (trackData, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.all {
		if r.track == track {
			r.over = true
			return r.data, true
		}
	}
	return trackData{}, false
}

// learn takes the round trips of a meeting that goes on.
func (t *tracks) learn(s meet.Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.all {
		for i := range s.Tracks {
			if s.Tracks[i].Track == r.track {
				r.rtt = s.Tracks[i].RTT
			}
		}
	}
}

// stats counts, and begins another interval of the bit rates.
func (t *tracks) stats(now time.Time) statsData {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := statsData{Tracks: make([]trackStats, len(t.all))}
	for i, r := range t.all {
		s := r.track.Stats()
		d.Tracks[i] = trackStats{
			trackData: r.data, Packets: s.Packets, Lost: s.Lost, Undecryptable: s.Undecryptable, Repeated: s.Repeated, Frames: s.Frames,
			Bitrate: bitrate(s.Bytes-r.bytes, now.Sub(r.at)), RTT: float64(r.rtt.Microseconds()) / 1000, Over: r.over,
		}
		r.bytes, r.at = s.Bytes, now
	}
	return d
}

func bitrate(bytes uint64, d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return uint64(float64(bytes) * 8 / d.Seconds())
}

func (d statsData) String() string {
	if len(d.Tracks) == 0 {
		return "nobody sent anything"
	}
	list := make([]string, len(d.Tracks))
	for i, t := range d.Tracks {
		list[i] = fmt.Sprintf("%s %s: %d packets, %d lost, %d undecryptable, %d frames, %d kbit/s, %.1f ms",
			t.Member, t.Kind, t.Packets, t.Lost, t.Undecryptable, t.Frames, t.Bitrate/1000, t.RTT)
	}
	return strings.Join(list, "; ")
}
