package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
)

// An ad-hoc signature names nobody: it only binds the program to the bundle's description and seal, so that macOS can
// see that nothing was changed. Go's linker makes one for arm64 that binds the program alone, and none for amd64;
// within a bundle macOS takes either for damage. The layouts are those of xnu's osfmk/kern/cs_blobs.h, big endian, and
// of mach-o/loader.h, little endian.

const (
	magicSignature    = 0xfade0cc0
	magicDirectory    = 0xfade0c02
	magicRequirements = 0xfade0c01
	magicWrapper      = 0xfade0b01

	slotDirectory    = 0
	slotRequirements = 2
	slotCMS          = 0x10000

	directorySize = 88
	signPage      = 4096

	machHeader       = 32
	commandSegment   = 0x19
	commandUUID      = 0x1b
	commandSignature = 0x1d
	segmentSection   = 72 // where the first section's header lies
)

var (
	errMachO  = errors.New("package: not a 64-bit macOS program as Go's linker writes it")
	errNoUUID = errors.New("package: the macOS program has no LC_UUID, without which macOS 26 does not start it")
)

// machO is what signing needs to know of a program.
type machO struct {
	signature    int // where LC_CODE_SIGNATURE lies, 0 for none
	end          int // of the load commands
	room         int // the end of what they may take
	uuid         bool
	linkedit     int // where __LINKEDIT's LC_SEGMENT_64 lies
	textOffset   uint64
	textSize     uint64
	linkeditFrom uint64
	linkeditSize uint64
}

func readMachO(image []byte) (m machO, err error) {
	le := binary.LittleEndian
	if len(image) < machHeader || le.Uint32(image) != 0xfeedfacf {
		return m, errMachO
	}
	count, at := le.Uint32(image[16:]), machHeader
	m.end, m.room = machHeader+int(le.Uint32(image[20:])), len(image)
	if m.end > len(image) {
		return m, errMachO
	}
	for range count {
		if at+8 > m.end {
			return m, errMachO
		}
		size := int(le.Uint32(image[at+4:]))
		if size < 8 || at+size > m.end {
			return m, errMachO
		}
		command := image[at : at+size]
		switch le.Uint32(command) {
		case commandSignature:
			m.signature = at
		case commandUUID:
			m.uuid = size == 24 && [16]byte(command[8:24]) != [16]byte{}
		case commandSegment:
			if size < segmentSection {
				return m, errMachO
			}
			m.segment(command, at)
		}
		at += size
	}
	if at != m.end || m.linkedit == 0 || m.textSize == 0 {
		return m, errMachO
	}
	if !m.uuid {
		return m, errNoUUID
	}
	return m, nil
}

func (m *machO) segment(command []byte, at int) {
	le := binary.LittleEndian
	switch name := string(command[8:24]); name {
	case "__LINKEDIT\x00\x00\x00\x00\x00\x00":
		m.linkedit, m.linkeditFrom, m.linkeditSize = at, le.Uint64(command[40:]), le.Uint64(command[48:])
	case "__TEXT\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00":
		m.textOffset, m.textSize = le.Uint64(command[40:]), le.Uint64(command[48:])
		if sections := command[segmentSection:]; len(sections) >= 80 {
			m.room = int(le.Uint32(sections[48:])) // code begins there
		}
	}
}

// signMachO signs a program for the bundle with these Info.plist and CodeResources, in place of any signature.
func signMachO(image []byte, identifier string, info, seal []byte) ([]byte, error) {
	m, err := readMachO(image)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	out := slices.Clone(image)
	if m.linkeditFrom+m.linkeditSize != uint64(len(out)) {
		return nil, errMachO
	}
	if m.signature != 0 {
		from := le.Uint32(out[m.signature+8:])
		if uint64(from) < m.linkeditFrom || int(from) > len(out) {
			return nil, errMachO
		}
		out = out[:from]
	} else {
		if m.end+16 > m.room {
			return nil, errMachO
		}
		m.signature = m.end
		le.PutUint32(out[16:], le.Uint32(out[16:])+1)
		le.PutUint32(out[20:], le.Uint32(out[20:])+16)
		le.PutUint32(out[m.signature:], commandSignature)
		le.PutUint32(out[m.signature+4:], 16)
	}
	out = append(out, make([]byte, -len(out)&15)...)
	limit := len(out)
	// Where the signature lies and how long it is comes before the hashes are taken: they cover the header.
	size := len(signature(make([]byte, limit), identifier, info, seal, m))
	le.PutUint32(out[m.signature+8:], uint32(limit))
	le.PutUint32(out[m.signature+12:], uint32(size))
	linkedit := uint64(limit+size) - m.linkeditFrom
	le.PutUint64(out[m.linkedit+32:], (linkedit+0x3fff)&^0x3fff)
	le.PutUint64(out[m.linkedit+48:], linkedit)
	return append(out, signature(out, identifier, info, seal, m)...), nil
}

// signature is the ad-hoc signature of code.
func signature(code []byte, identifier string, info, seal []byte, m machO) []byte {
	be := binary.BigEndian
	requirements := be.AppendUint32(nil, magicRequirements)
	requirements = append(be.AppendUint32(requirements, 12), 0, 0, 0, 0)
	cms := be.AppendUint32(be.AppendUint32(nil, magicWrapper), 8)

	// The special slots stand before the pages' hashes, counted backwards.
	special := [][]byte{seal, requirements, info}
	pages := (len(code) + signPage - 1) / signPage
	hashes := directorySize + len(identifier) + 1 + len(special)*sha256.Size
	var d []byte
	for _, v := range []uint32{
		magicDirectory, uint32(hashes + pages*sha256.Size), 0x20400, 0x2, // version; ad hoc
		uint32(hashes), directorySize, uint32(len(special)), uint32(pages), uint32(len(code)),
	} {
		d = be.AppendUint32(d, v)
	}
	d = append(d, sha256.Size, 2, 0, 12)  // SHA-256, pages of 2^12
	d = append(d, make([]byte, 4*4+8)...) // spare, scatter, team, spare, 64-bit limit
	d = be.AppendUint64(d, m.textOffset)
	d = be.AppendUint64(d, m.textSize)
	d = be.AppendUint64(d, 1) // the main program
	d = append(append(d, identifier...), 0)
	for _, blob := range special {
		sum := sha256.Sum256(blob)
		d = append(d, sum[:]...)
	}
	for page := range slices.Chunk(code, signPage) {
		sum := sha256.Sum256(page)
		d = append(d, sum[:]...)
	}

	slots := []uint32{slotDirectory, slotRequirements, slotCMS}
	blobs := [][]byte{d, requirements, cms}
	total := 12 + 8*len(blobs)
	index := []byte{}
	for i, blob := range blobs {
		index = be.AppendUint32(be.AppendUint32(index, slots[i]), uint32(total))
		total += len(blob)
	}
	out := be.AppendUint32(nil, magicSignature)
	out = be.AppendUint32(out, uint32(total))
	out = be.AppendUint32(out, uint32(len(blobs)))
	return slices.Concat(out, index, d, requirements, cms)
}
