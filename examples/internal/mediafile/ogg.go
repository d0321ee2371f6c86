package mediafile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"
)

const oggHeaderSize = 27

// oggPage is one page (RFC 3533 section 6).
type oggPage struct {
	continued, first, last bool
	granule                uint64 // samples at 48 kHz after the last packet that ends here
	serial, index          uint32
	lacing                 []byte
	body                   []byte
}

// errCutShort ends a file in the middle of something.
var errCutShort = errors.New("the file is cut short")

// readOggPage takes the first page off data. pion's reader hides the segment
// table, without which several packets in one page can't be told apart.
func readOggPage(data []byte) (page oggPage, rest []byte, err error) {
	if len(data) < oggHeaderSize {
		return page, nil, errCutShort
	}
	if string(data[:4]) != "OggS" || data[4] != 0 {
		return page, nil, errors.New("it is damaged, or not an Ogg file")
	}
	header := oggHeaderSize + int(data[26])
	if len(data) < header {
		return page, nil, errCutShort
	}
	size := header
	for _, n := range data[oggHeaderSize:header] {
		size += int(n)
	}
	if len(data) < size {
		return page, nil, errCutShort
	}
	if oggChecksum(data[:size]) != binary.LittleEndian.Uint32(data[22:]) {
		return page, nil, errors.New("it is damaged: a checksum is wrong")
	}
	return oggPage{
		continued: data[5]&1 != 0,
		first:     data[5]&2 != 0,
		last:      data[5]&4 != 0,
		granule:   binary.LittleEndian.Uint64(data[6:]),
		serial:    binary.LittleEndian.Uint32(data[14:]),
		index:     binary.LittleEndian.Uint32(data[18:]),
		lacing:    data[oggHeaderSize:header],
		body:      data[header:size],
	}, data[size:], nil
}

// oggTable is the table of Ogg's CRC-32, which has the usual polynomial and
// the other bit order.
var oggTable = func() (table [256]uint32) {
	polynomial := bits.Reverse32(crc32.IEEE)
	for i := range table {
		r := uint32(i) << 24
		for range 8 {
			carry := r >> 31
			r = r<<1 ^ carry*polynomial
		}
		table[i] = r
	}
	return table
}()

// oggChecksum is the checksum of a page with its own field taken as zero.
func oggChecksum(page []byte) uint32 {
	var sum uint32
	for i, b := range page {
		if i >= 22 && i < 26 {
			b = 0
		}
		sum = sum<<8 ^ oggTable[byte(sum>>24)^b]
	}
	return sum
}

// oggParser puts packets together from pages.
type oggParser struct {
	content
	serial, index uint32
	partial       []byte // a packet that goes on in the next page
	inPacket      bool
	packets       int    // complete ones, the two headers included
	start         uint64 // granule position where the first packet begins
	clock         uint64 // granule position where the next packet begins
	pending       []opusPacket
}

type opusPacket struct {
	data    []byte
	samples uint64
}

// parseOgg reads an Ogg file with one Opus stream (RFC 7845).
func parseOgg(data []byte) (*content, error) {
	p := oggParser{}
	p.codec = webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: opusClockRate, Channels: 2,
		SDPFmtpLine: "minptime=10;useinbandfec=1",
	}
	ended := false
	for pages := 0; len(data) > 0; pages++ {
		page, rest, err := readOggPage(data)
		if err != nil {
			return nil, err
		}
		data = rest
		if ended {
			return nil, errors.New("it holds more than one stream")
		}
		if err := p.page(page, pages == 0); err != nil {
			return nil, err
		}
		ended = page.last
	}
	if p.inPacket {
		return nil, errCutShort
	}
	if p.packets < 2 {
		return nil, errors.New("the file has no sound")
	}
	p.end = p.clock - p.start
	return &p.content, nil
}

// page takes in one page.
func (p *oggParser) page(page oggPage, opening bool) error {
	if opening {
		p.serial, p.index = page.serial, page.index
	}
	switch {
	case page.first != opening || page.serial != p.serial:
		return errors.New("it holds more than one stream, or none that begins")
	case page.index != p.index || page.continued != p.inPacket:
		return errors.New("it is damaged: a page is missing")
	}
	p.index++
	ends := false // whether a packet ends in this page
	body := page.body
	for _, n := range page.lacing {
		p.partial = append(p.partial, body[:n]...)
		body = body[n:]
		if p.inPacket = n == 255; p.inPacket {
			continue
		}
		if err := p.packet(p.partial); err != nil {
			return err
		}
		p.partial = nil
		ends = true
	}
	if !ends || p.packets < 2 {
		return nil
	}
	return p.setTimes(page)
}

// packet takes in one complete packet.
func (p *oggParser) packet(data []byte) error {
	p.packets++
	switch p.packets {
	case 1:
		if !bytes.HasPrefix(data, []byte("OpusHead")) {
			return errors.New("it holds no Opus audio")
		}
		head, err := oggreader.ParseOpusHead(data)
		if err != nil || head.Version>>4 != 0 || head.ChannelMap != 0 || head.Channels < 1 || head.Channels > 2 {
			return errors.New("its Opus audio is neither mono nor stereo")
		}
		p.channels = int(head.Channels)
	case 2:
		if !bytes.HasPrefix(data, []byte("OpusTags")) {
			return errors.New("it is damaged: the second Opus header is missing")
		}
	default:
		number := p.packets - 2
		samples, ok := opusSamples(data)
		if !ok {
			return fmt.Errorf("its Opus packet %d is damaged", number)
		}
		if len(data) > MaxPayload {
			return fmt.Errorf("its Opus packet %d has %d bytes, and one RTP packet carries %d: use a lower bit rate",
				number, len(data), MaxPayload)
		}
		p.pending = append(p.pending, opusPacket{data, samples})
	}
	return nil
}

// setTimes gives their times to the packets that end in a page. Its granule
// position is the end of the last of them (RFC 7845 section 4): more than the
// packets add up to is a hole, less at the end of the stream cuts off padding.
func (p *oggParser) setTimes(page oggPage) error {
	if len(p.pending) == 0 {
		return nil
	}
	var total uint64
	for _, packet := range p.pending {
		total += packet.samples
	}
	const limit = 1 << 48 // keeps sums far from overflow; times are checked later
	if page.granule > limit {
		return errors.New("it is damaged: a page has no time")
	}
	begin := p.clock
	if page.granule > begin+total {
		begin = page.granule - total
	}
	if len(p.frames) == 0 {
		// A stream cut out of a longer one starts anywhere: its start is zero.
		p.start, begin = page.granule-min(total, page.granule), page.granule-min(total, page.granule)
	} else if page.granule < p.clock {
		return errors.New("it is damaged: its times go backwards")
	}
	for _, packet := range p.pending {
		if err := p.add(frame{data: packet.data, time: begin - p.start, key: true}); err != nil {
			return err
		}
		begin += packet.samples
	}
	p.clock = begin
	p.pending = p.pending[:0]
	return nil
}
