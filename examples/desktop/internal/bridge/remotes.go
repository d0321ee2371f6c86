package bridge

import (
	"slices"

	"github.com/pion/webrtc/v4"
)

// Add carries what a member sends to the page, as long as it lasts.
func (b *Bridge) Add(t Remote) {
	r := &remote{Remote: t, tap: &b.tap, height: -1}
	b.mu.Lock()
	if _, known := b.remotes[t.ID()]; known || b.closed {
		b.mu.Unlock()
		return
	}
	b.order++
	r.order = b.order
	if h, said := b.watched[t.ID()]; said {
		r.height = h
	}
	b.remotes[t.ID()] = r
	b.tasks.Go(r.pump)
	b.assign()
	b.mu.Unlock()
	b.config.OnSlots()
}

// Remove ends that. The track's reads must end by themselves.
func (b *Bridge) Remove(id string) {
	b.mu.Lock()
	if r := b.remotes[id]; r != nil {
		delete(b.remotes, id)
		b.release(r)
	}
	b.assign()
	b.mu.Unlock()
	b.config.OnSlots()
}

// Watch says which pictures are shown, by track, and how high; 0 frees the slot. Nil: all of them.
func (b *Bridge) Watch(heights map[string]int) {
	b.mu.Lock()
	b.watched = heights
	for id, r := range b.remotes {
		r.height = -1
		if h, said := heights[id]; said {
			r.height = h
		}
		if r.height == 0 && r.Kind() == webrtc.RTPCodecTypeVideo {
			b.release(r)
		}
	}
	b.assign()
	b.mu.Unlock()
	b.config.OnSlots()
}

// Slots returns on which m-line each remote comes: track ID to mid.
func (b *Bridge) Slots() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]string{}
	for id, r := range b.remotes {
		if s := r.slot.Load(); s != nil {
			all[id] = s.mid
		}
	}
	return all
}

// release takes a remote off its slot. b.mu is held.
func (b *Bridge) release(r *remote) {
	if s := r.slot.Swap(nil); s != nil {
		s.carry(nil)
	}
}

// assign gives slots to remotes that need one, oldest first. b.mu is held.
func (b *Bridge) assign() {
	if b.pc == nil {
		return
	}
	waiting := make([]*remote, 0, len(b.remotes))
	taken := map[*slot]bool{}
	for _, r := range b.remotes {
		if s := r.slot.Load(); s != nil {
			taken[s] = true
		} else if r.height != 0 || r.Kind() == webrtc.RTPCodecTypeAudio {
			waiting = append(waiting, r)
		}
	}
	slices.SortFunc(waiting, func(x, y *remote) int { return int(x.order) - int(y.order) })
	missing := map[webrtc.RTPCodecType]int{}
	for _, r := range waiting {
		i := slices.IndexFunc(b.slots, func(s *slot) bool { return !taken[s] && s.kind == r.Kind() })
		if i < 0 {
			missing[r.Kind()]++
			continue
		}
		taken[b.slots[i]] = true
		b.slots[i].carry(r)
	}
	if audio, video := missing[webrtc.RTPCodecTypeAudio], missing[webrtc.RTPCodecTypeVideo]; audio+video > 0 {
		room := MaxLines - len(b.slots) - len(Sources)
		audio = min(audio, room)
		video = min(video, room-audio)
		if audio+video > 0 {
			b.config.OnGrow(audio, video)
		}
	}
}
