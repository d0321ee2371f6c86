package recorder

import (
	"encoding/binary"
	"math"
)

// EBML (RFC 8794) element IDs of Matroska (RFC 9559), of which WebM is a part.
const (
	idEBML               = 0x1A45DFA3
	idEBMLVersion        = 0x4286
	idEBMLReadVersion    = 0x42F7
	idEBMLMaxIDLength    = 0x42F2
	idEBMLMaxSizeLength  = 0x42F3
	idDocType            = 0x4282
	idDocTypeVersion     = 0x4287
	idDocTypeReadVersion = 0x4285
	idVoid               = 0xEC
	idSegment            = 0x18538067
	idSeekHead           = 0x114D9B74
	idSeek               = 0x4DBB
	idSeekID             = 0x53AB
	idSeekPosition       = 0x53AC
	idInfo               = 0x1549A966
	idTimestampScale     = 0x2AD7B1
	idDuration           = 0x4489
	idMuxingApp          = 0x4D80
	idWritingApp         = 0x5741
	idTracks             = 0x1654AE6B
	idTrackEntry         = 0xAE
	idTrackNumber        = 0xD7
	idTrackUID           = 0x73C5
	idTrackType          = 0x83
	idFlagLacing         = 0x9C
	idLanguage           = 0x22B59C
	idCodecID            = 0x86
	idCodecPrivate       = 0x63A2
	idCodecDelay         = 0x56AA
	idSeekPreRoll        = 0x56BB
	idVideo              = 0xE0
	idPixelWidth         = 0xB0
	idPixelHeight        = 0xBA
	idAudio              = 0xE1
	idSamplingFrequency  = 0xB5
	idChannels           = 0x9F
	idCluster            = 0x1F43B675
	idTimestamp          = 0xE7
	idSimpleBlock        = 0xA3
	idCues               = 0x1C53BB6B
	idCuePoint           = 0xBB
	idCueTime            = 0xB3
	idCueTrackPositions  = 0xB7
	idCueTrack           = 0xF7
	idCueClusterPosition = 0xF1
)

// sizeLength is how many bytes every size takes: always eight, so that it doesn't depend on the size.
const sizeLength = 8

func appendID(b []byte, id uint32) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		if id>>shift != 0 {
			b = append(b, byte(id>>shift))
		}
	}
	return b
}

func appendHead(b []byte, id uint32, size int64) []byte {
	return binary.BigEndian.AppendUint64(appendID(b, id), uint64(size)|1<<56)
}

// master is an element with others in it, or with bytes.
func master(id uint32, parts ...[]byte) []byte {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	b := appendHead(make([]byte, 0, size+12), id, int64(size))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func number(id uint32, v uint64) []byte {
	return master(id, binary.BigEndian.AppendUint64(nil, v))
}

func float(id uint32, v float64) []byte { return number(id, math.Float64bits(v)) }

func text(id uint32, s string) []byte { return master(id, []byte(s)) }

// void fills n bytes, at least 9.
func void(n int) []byte { return master(idVoid, make([]byte, n-1-sizeLength)) }
