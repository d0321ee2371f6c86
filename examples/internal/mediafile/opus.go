package mediafile

// opusFrameSamples is the length of each frame of a packet, in samples at
// 48 kHz, by the configuration in its first byte (RFC 6716 section 3.1).
func opusFrameSamples(toc byte) uint64 {
	config := toc >> 3
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		return [4]uint64{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		return [2]uint64{480, 960}[config&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		return 120 << (config & 3)
	}
}

const (
	maxOpusSamples = 5760 // 120 ms, RFC 6716 section 3.2.5
	maxOpusFrame   = 1275 // bytes, section 3.2.1
)

// opusSamples is the length of an Opus packet in samples at 48 kHz. It checks
// the framing rules R1 to R7 of RFC 6716 section 3.4, so that no decoder
// stumbles over a packet that passes.
func opusSamples(packet []byte) (samples uint64, ok bool) {
	if len(packet) == 0 {
		return 0, false
	}
	toc, body := packet[0], packet[1:]
	count := 1
	switch toc & 3 {
	case 0:
		ok = len(body) <= maxOpusFrame
	case 1:
		count, ok = 2, len(body)%2 == 0 && len(body)/2 <= maxOpusFrame
	case 2:
		count = 2
		first, rest, valid := opusLength(body)
		ok = valid && first <= len(rest) && len(rest)-first <= maxOpusFrame
	default:
		count, ok = opusMany(body)
	}
	samples = uint64(count) * opusFrameSamples(toc)
	return samples, ok && count > 0 && samples <= maxOpusSamples
}

// opusLength reads a frame length of one or two bytes (section 3.2.1).
func opusLength(data []byte) (n int, rest []byte, ok bool) {
	if len(data) == 0 {
		return 0, nil, false
	}
	if n = int(data[0]); n < 252 {
		return n, data[1:], true
	}
	if len(data) < 2 {
		return 0, nil, false
	}
	return n + 4*int(data[1]), data[2:], true
}

// opusMany checks a packet with any number of frames (section 3.2.5).
func opusMany(body []byte) (count int, ok bool) {
	if len(body) == 0 {
		return 0, false
	}
	variable, padded := body[0]&0x80 != 0, body[0]&0x40 != 0
	count, body = int(body[0]&0x3f), body[1:]
	if count == 0 {
		return 0, false
	}
	padding := 0
	for padded {
		if len(body) == 0 {
			return 0, false
		}
		n := int(body[0])
		body = body[1:]
		padded = n == 255
		padding += min(n, 254)
	}
	if padding > len(body) {
		return 0, false
	}
	body = body[:len(body)-padding]
	if !variable {
		return count, len(body)%count == 0 && len(body)/count <= maxOpusFrame
	}
	total := 0
	for range count - 1 {
		n, rest, valid := opusLength(body)
		if !valid {
			return 0, false
		}
		body, total = rest, total+n
	}
	return count, total <= len(body) && len(body)-total <= maxOpusFrame
}
