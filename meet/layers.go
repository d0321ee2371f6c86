package meet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	"github.com/pion/webrtc/v4"
)

// MaxLayers is how many encodings of one picture can be published together.
const MaxLayers = 3

// layersEvery is how often layers are chosen.
const layersEvery = 250 * time.Millisecond

// LayerStats is what became of one layer of a publication.
type LayerStats struct {
	// Packets, Bytes and Frames count what was sealed and sent, as PublicationStats does.
	Packets, Bytes, Frames uint64
	// Bitrate is what its track wrote lately, sent or not, in bit/s; 0 if nothing for two seconds.
	Bitrate int
	// Members is how many get it now.
	Members int
}

// checkLayers refuses what can't be layers of one picture.
func checkLayers(tracks []webrtc.TrackLocal, kind webrtc.RTPCodecType) error {
	if len(tracks) == 1 {
		return nil
	}
	other := func(t webrtc.TrackLocal) bool { return t.Kind() != kind }
	if len(tracks) > MaxLayers || kind != webrtc.RTPCodecTypeVideo || slices.ContainsFunc(tracks, other) {
		return fmt.Errorf("%w: layers are at most %d, all of them video", ErrUnsupportedTrack, MaxLayers)
	}
	return nil
}

// readsKeyFrames reports whether it can be told where a key frame of this codec begins: there alone layers can change.
func readsKeyFrames(mime string) bool {
	for _, known := range []string{webrtc.MimeTypeVP8, webrtc.MimeTypeVP9, webrtc.MimeTypeAV1, webrtc.MimeTypeH264} {
		if strings.EqualFold(mime, known) {
			return true
		}
	}
	return false
}

// Layers tells of each encoding it sends, the lowest first: one, but after PublishLayers.
func (pub *Publication) Layers() []LayerStats {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	all := make([]LayerStats, len(pub.layers))
	for i, l := range pub.layers {
		all[i] = l.stats
		all[i].Bitrate, all[i].Members = l.rate.current, len(l.peers)
		if peers := pub.plane.recipients.Load(); len(pub.layers) == 1 && peers != nil {
			all[i].Members = len(*peers)
		}
	}
	return all
}

// receiving is who gets which layer of a publication: the sender alone decides (LAY-2). Publication.mu guards it.
type receiving struct {
	of      *[]transport.PeerKey // the recipients it is about
	all     []receiver           // in their order
	waiting int                  // how many have no layer yet: they get the first key frame of any
}

// receiver is one recipient of a publication with layers. A layer is its index, or -1.
type receiver struct {
	peer    transport.PeerKey
	chooser LayerChooser
	now     int // what it gets
	next    int // what it is to get from that layer's next key frame on; now, if nothing is to change
}

// needed says whether a packet of a layer has to be sealed at all (LAY-2). pub.mu is held.
func (pub *Publication) needed(l *encoding, f crypto.MediaFlags, recipients *[]transport.PeerKey) bool {
	if len(pub.layers) == 1 || pub.plane.off.allLayers {
		return true
	}
	pub.follow(recipients)
	begins := f.KeyFrame && f.StartOfFrame
	return len(l.peers) > 0 || begins && l.pending+pub.receiving.waiting > 0
}

// readers are who gets a packet of a layer, which was sealed. If it begins a key frame, those are among them who have
// waited for it. pub.mu is held.
func (pub *Publication) readers(l *encoding, f crypto.MediaFlags, recipients []transport.PeerKey) []transport.PeerKey {
	if len(pub.layers) == 1 || pub.plane.off.allLayers {
		return recipients
	}
	if f.KeyFrame && f.StartOfFrame && l.pending+pub.receiving.waiting > 0 {
		n := slices.Index(pub.layers, l)
		for i := range pub.receiving.all {
			if r := &pub.receiving.all[i]; r.next == n || r.next < 0 {
				r.now, r.next = n, n
			}
		}
		pub.deal()
	}
	return l.peers
}

// follow takes note of who the recipients are, if they are others than before. pub.mu is held.
func (pub *Publication) follow(recipients *[]transport.PeerKey) {
	if pub.receiving.of == recipients {
		return
	}
	before := map[transport.PeerKey]receiver{}
	for _, r := range pub.receiving.all {
		before[r.peer] = r
	}
	pub.receiving = receiving{of: recipients}
	if recipients != nil {
		for _, peer := range *recipients {
			r, ok := before[peer]
			if !ok {
				r = receiver{peer: peer, chooser: pub.plane.newChooser(), now: -1, next: -1}
			}
			pub.receiving.all = append(pub.receiving.all, r)
		}
	}
	for _, l := range pub.layers {
		l.peers = slices.Grow(l.peers[:0], len(pub.receiving.all)) // so that a change of layer allocates nothing
	}
	pub.deal()
}

// deal makes the lists of the layers those of the receivers. pub.mu is held.
func (pub *Publication) deal() {
	for _, l := range pub.layers {
		l.peers, l.pending = l.peers[:0], 0
	}
	pub.receiving.waiting = 0
	for i := range pub.receiving.all {
		r := &pub.receiving.all[i]
		if r.now >= 0 {
			l := pub.layers[r.now]
			l.peers = append(l.peers, r.peer)
		}
		switch {
		case r.next < 0:
			pub.receiving.waiting++
		case r.next != r.now:
			pub.layers[r.next].pending++
		}
	}
}

// wantFor has the source asked for a key frame of the layer that somebody gets, whichever they name (LAY-4).
func (pub *Publication) wantFor(from transport.PeerKey, now time.Time) {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	if len(pub.layers) == 1 || pub.plane.off.allLayers {
		pub.wantAll(now)
		return
	}
	pub.follow(pub.plane.recipients.Load())
	for _, r := range pub.receiving.all {
		if r.peer == from && r.next >= 0 {
			pub.want(pub.layers[r.next], now)
		}
	}
}

// measure returns what each layer takes at present, in bit/s.
func (pub *Publication) measure(now time.Time) (rates []int) {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	for _, l := range pub.layers {
		rates = append(rates, l.rate.measure(now))
	}
	return rates
}

// choose decides anew what each recipient gets. The budgets are what is left for each on its link, less is what others
// need of it; what is chosen is taken off.
func (pub *Publication) choose(now time.Time, recipients *[]transport.PeerKey, budgets []int, less int, rates []int) {
	pub.mu.Lock()
	defer pub.mu.Unlock()
	if len(pub.layers) != len(rates) {
		return // it was replaced meanwhile
	}
	pub.follow(recipients)
	var changed [MaxLayers]bool
	for i := range pub.receiving.all {
		r, budget := &pub.receiving.all[i], 0
		if budgets[i] != 0 {
			budget = max(1, budgets[i]-less)
		}
		next := min(r.chooser.Choose(now, rates, budget), len(rates)-1)
		if next != r.next && next >= 0 {
			changed[next] = true
		}
		r.next = next
		if r.next >= 0 && budgets[i] != 0 {
			budgets[i] = max(1, budgets[i]-rates[r.next])
		}
	}
	pub.deal()
	for i, l := range pub.layers {
		if l.pending > 0 && rates[i] > 0 && (changed[i] || l.wanted || now.Sub(l.told) >= 2*keyFrameEvery) {
			pub.want(l, now)
		}
	}
}

// linkShare is how much of what a link is estimated to carry is counted on, in percent.
const linkShare = 90

// chooseLayers decides who gets which layer of what this member publishes (LAY-5). Target says what a link is estimated
// to carry, in bit/s, 0 if it isn't known. Sound and what has one encoding come first, then the screen, then the camera.
// It reports whether anything has layers.
func (p *plane) chooseLayers(now time.Time, target func(transport.PeerKey) int) bool {
	p.mu.RLock()
	published, recipients := p.out.all(), p.recipients.Load()
	p.mu.RUnlock()
	slices.SortFunc(published, func(x, y *Publication) int {
		return cmp.Or(-cmp.Compare(x.source, y.source), cmp.Compare(x.Stream(), y.Stream()))
	})
	fixed, lowest := 0, 0
	var layered []*Publication
	var rates [][]int
	for _, pub := range published {
		r := pub.measure(now)
		if len(r) == 1 {
			fixed += r[0]
			continue
		}
		layered, rates = append(layered, pub), append(rates, r)
		lowest += r[0]
	}
	if len(layered) == 0 || recipients == nil {
		return len(layered) > 0
	}
	budgets := make([]int, len(*recipients))
	for i, peer := range *recipients {
		if t := target(peer); t > 0 {
			budgets[i] = max(1, t/100*linkShare-fixed)
		}
	}
	for i, pub := range layered {
		lowest -= rates[i][0]
		pub.choose(now, recipients, budgets, lowest, rates[i])
	}
	return true
}

// startChoosing has layers chosen, if there are any and it isn't done already. It is called each second in any case.
func (m *Meeting) startChoosing(now time.Time) {
	if !m.choosing {
		m.chooseLayers(now)
	}
}

// chooseLayers has layers chosen now, and again as long as there are any.
func (m *Meeting) chooseLayers(now time.Time) {
	m.choosing = m.plane.chooseLayers(now, m.linkCarries)
	if m.choosing {
		m.after(layersEvery, func() { m.chooseLayers(time.Now()) })
	}
}

func (m *Meeting) linkCarries(peer transport.PeerKey) int {
	if l := m.host.Media(peer); l != nil {
		return l.TargetBitrate()
	}
	return 0
}

// rateMeter is how many bit/s a track writes, over the last two seconds.
type rateMeter struct {
	bytes   int
	since   time.Time
	slots   [8]struct{ bytes, milliseconds int }
	next    int
	current int // as last measured
}

// packetOverhead is what a packet has beside its payload, in bytes: RTP's header and the seal.
const packetOverhead = 12 + crypto.MaxMediaOverhead

func (r *rateMeter) add(size int, now time.Time) {
	if r.since.IsZero() {
		r.since = now
	}
	r.bytes += size + packetOverhead
}

// measure returns the rate. It is to be called about every layersEvery.
func (r *rateMeter) measure(now time.Time) int {
	passed := now.Sub(r.since)
	if r.since.IsZero() || passed < layersEvery*4/5 {
		return r.current
	}
	r.slots[r.next] = struct{ bytes, milliseconds int }{r.bytes, int(passed.Milliseconds())}
	r.next = (r.next + 1) % len(r.slots)
	r.bytes, r.since = 0, now
	bytes, milliseconds := 0, 0
	for _, s := range r.slots {
		bytes, milliseconds = bytes+s.bytes, milliseconds+s.milliseconds
	}
	r.current = bytes * 8_000 / milliseconds
	if bytes == 0 {
		*r = rateMeter{} // what follows isn't averaged with the silence
	}
	return r.current
}
