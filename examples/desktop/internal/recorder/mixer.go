package recorder

import "github.com/thesyncim/gopus"

const (
	sampleRate = 48_000
	frameSize  = sampleRate / 50 // 20 ms
	bitrate    = 48_000
	complexity = 5
	maxOpus    = 1500 // bytes of one packet
	// mixLength is how much sound can wait to be mixed.
	mixLength = 4 * sampleRate
	maxHidden = 3 // packets in a row that are concealed
)

// mixer adds voices up and encodes the sum.
type mixer struct {
	sum     []float32 // a ring: sample n is at n % mixLength
	done    int64     // samples encoded
	encoder *gopus.Encoder
	frame   [frameSize]float32
	packet  [4000]byte
}

func newMixer() (*mixer, error) {
	e, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: sampleRate, Channels: 1, Application: gopus.ApplicationAudio})
	if err != nil {
		return nil, err
	}
	if err := e.SetBitrate(bitrate); err != nil {
		return nil, err
	}
	if err := e.SetComplexity(complexity); err != nil {
		return nil, err
	}
	return &mixer{sum: make([]float32, mixLength), encoder: e}, nil
}

// add mixes samples in; those for which it is too late, or much too early, are lost.
func (m *mixer) add(at int64, samples []float32) {
	for i, s := range samples {
		if n := at + int64(i); n >= m.done && n < m.done+mixLength {
			m.sum[n%mixLength] += s
		}
	}
}

// advance encodes what is before a sample.
func (m *mixer) advance(to int64, out func(block) error) error {
	for m.done+frameSize <= to {
		for i := range m.frame {
			s := &m.sum[(m.done+int64(i))%mixLength]
			m.frame[i], *s = max(-1, min(1, *s)), 0
		}
		n, err := m.encoder.Encode(m.frame[:], m.packet[:])
		if err != nil {
			return err
		}
		at := m.done * 1000 / sampleRate
		m.done += frameSize
		if err := out(block{track: audioTrack, at: at, key: true, data: m.packet[:n]}); err != nil {
			return err
		}
	}
	return nil
}

// voice is one sound track.
type voice struct {
	order
	clock
	decoder *gopus.Decoder
	samples []float32
	last    int // samples in the newest packet
	// energy is the newest mean square, falling slowly.
	energy float64
}

func newVoice() (*voice, error) {
	c := gopus.DefaultDecoderConfig(sampleRate, 1) // stereo is mixed to mono by the decoder
	d, err := gopus.NewDecoder(c)
	if err != nil {
		return nil, err
	}
	return &voice{decoder: d, samples: make([]float32, c.MaxPacketSamples), clock: clock{rate: sampleRate}}, nil
}

// decay is what remains of the energy of a voice after a packet.
const decay = 0.95

// decode mixes one packet in.
func (v *voice) decode(p packet, lost int, into *mixer) {
	if len(p.payload) == 0 || len(p.payload) > maxOpus {
		return
	}
	at := v.place(p.header.Timestamp, p.arrived)
	if lost > 0 && lost <= maxHidden && v.last > 0 {
		for i := range lost {
			if n := v.safely(nil); n > 0 {
				into.add(at-int64((lost-i)*v.last), v.samples[:n])
			}
		}
	}
	n := v.safely(p.payload)
	if n <= 0 {
		return
	}
	v.last = n
	sum := 0.0
	for _, s := range v.samples[:n] {
		sum += float64(s) * float64(s)
	}
	v.energy = max(sum/float64(n), v.energy*decay)
	into.add(at, v.samples[:n])
}

// safely decodes what a stranger sent: a fault of the decoder must not end the meeting.
func (v *voice) safely(payload []byte) (n int) {
	defer func() {
		if recover() != nil {
			n = 0
			v.decoder.Reset()
		}
	}()
	n, err := v.decoder.Decode(payload, v.samples)
	if err != nil {
		return 0
	}
	return n
}

// silent lets the energy of a voice fall that sends nothing.
func (v *voice) silent() {
	if len(v.held) == 0 {
		v.energy *= decay
	}
}
