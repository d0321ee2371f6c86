package recorder

import (
	"encoding/binary"
	"io"
	"math"
)

const (
	// headSize is kept free at the beginning for what is known only at the end.
	headSize = 2048

	videoTrack, audioTrack = 1, 2

	// A cluster begins with a key frame if the last is so old, and in any case when it is older, in ms.
	minCluster, maxCluster = 500, 5000

	seekPreRoll = 80_000_000 // ns, as for all Opus (RFC 7845 section 4.6)
)

// block is one packet of sound or one picture.
type block struct {
	track byte
	at    int64 // ms
	key   bool
	data  []byte
}

// webm writes clusters as they fill, and the head and the cues at the end.
type webm struct {
	to       io.WriterAt
	position int64

	cluster []byte // the blocks of the open one
	began   int64
	open    bool
	cues    []cue
	last    int64 // the newest time
	blocks  int

	// Known at the end:
	videoCodec    string // CodecID, empty without pictures
	width, height uint16
	preSkip       int
}

type cue struct {
	at, position int64
	picture      bool
}

func newWebM(to io.WriterAt) (*webm, error) {
	w := &webm{to: to, position: headSize}
	_, err := to.WriteAt(void(headSize), 0)
	return w, err
}

// segment is the position from which those in the file count.
func segmentStart() int64 { return int64(len(ebmlHead())) + 4 + sizeLength }

// write takes the next block; times don't go back by more than a little.
func (w *webm) write(b block) error {
	age := b.at - w.began
	begins := b.track == videoTrack && b.key
	if !w.open || age >= maxCluster || begins && age >= minCluster || age < math.MinInt16 {
		if err := w.flush(); err != nil {
			return err
		}
		w.open, w.began = true, b.at
		w.cues = append(w.cues, cue{at: b.at, position: w.position - segmentStart(), picture: begins})
	}
	head := [4]byte{0x80 | b.track}
	binary.BigEndian.PutUint16(head[1:], uint16(int16(b.at-w.began)))
	if b.key {
		head[3] = 0x80
	}
	w.cluster = appendHead(w.cluster, idSimpleBlock, int64(len(head)+len(b.data)))
	w.cluster = append(append(w.cluster, head[:]...), b.data...)
	w.last = max(w.last, b.at)
	w.blocks++
	return nil
}

func (w *webm) flush() error {
	if !w.open {
		return nil
	}
	w.open = false
	at := number(idTimestamp, uint64(w.began))
	head := appendHead(nil, idCluster, int64(len(at)+len(w.cluster)))
	for _, part := range [][]byte{head, at, w.cluster} {
		if err := w.put(part); err != nil {
			return err
		}
	}
	w.cluster = w.cluster[:0]
	return nil
}

func (w *webm) put(b []byte) error {
	n, err := w.to.WriteAt(b, w.position)
	w.position += int64(n)
	return err
}

// finish completes the file. Duration is in ms.
func (w *webm) finish(duration int64) error {
	if err := w.flush(); err != nil {
		return err
	}
	cuesAt := w.position
	var cues [][]byte
	for _, c := range w.cues {
		track := uint64(audioTrack)
		if w.videoCodec != "" {
			if track = videoTrack; !c.picture {
				continue
			}
		}
		cues = append(cues, master(idCuePoint, number(idCueTime, uint64(c.at)),
			master(idCueTrackPositions, number(idCueTrack, track), number(idCueClusterPosition, uint64(c.position)))))
	}
	if err := w.put(master(idCues, cues...)); err != nil {
		return err
	}
	_, err := w.to.WriteAt(w.head(cuesAt, duration), 0)
	return err
}

func ebmlHead() []byte {
	return master(idEBML, number(idEBMLVersion, 1), number(idEBMLReadVersion, 1), number(idEBMLMaxIDLength, 4), number(idEBMLMaxSizeLength, 8),
		text(idDocType, "webm"), number(idDocTypeVersion, 4), number(idDocTypeReadVersion, 2))
}

// head is what the file begins with.
func (w *webm) head(cuesAt, duration int64) []byte {
	info := master(idInfo, number(idTimestampScale, 1_000_000), float(idDuration, float64(duration)),
		text(idMuxingApp, "huisclos"), text(idWritingApp, "huisclos"))
	tracks := w.tracks()
	seek := func(id uint32, at int64) []byte {
		return master(idSeek, master(idSeekID, appendID(nil, id)), number(idSeekPosition, uint64(at)))
	}
	seekHead := func(infoAt, tracksAt int64) []byte {
		return master(idSeekHead, seek(idInfo, infoAt), seek(idTracks, tracksAt), seek(idCues, cuesAt-segmentStart()))
	}
	infoAt := int64(len(seekHead(0, 0))) // every number has the same length
	b := appendHead(ebmlHead(), idSegment, w.position-segmentStart())
	b = append(b, seekHead(infoAt, infoAt+int64(len(info)))...)
	b = append(append(b, info...), tracks...)
	return append(b, void(headSize-len(b))...)
}

func (w *webm) tracks() []byte {
	entry := func(n, kind uint64, codec string, more ...[]byte) []byte {
		return master(idTrackEntry, append([][]byte{number(idTrackNumber, n), number(idTrackUID, n), number(idTrackType, kind),
			number(idFlagLacing, 0), text(idLanguage, "und"), text(idCodecID, codec)}, more...)...)
	}
	var all [][]byte
	if w.videoCodec != "" {
		all = append(all, entry(videoTrack, 1, w.videoCodec,
			master(idVideo, number(idPixelWidth, uint64(w.width)), number(idPixelHeight, uint64(w.height)))))
	}
	opusHead := append([]byte("OpusHead\x01\x01"), byte(w.preSkip), byte(w.preSkip>>8), 0x80, 0xbb, 0, 0, 0, 0, 0) // mono, 48,000 Hz
	all = append(all, entry(audioTrack, 2, "A_OPUS", master(idCodecPrivate, opusHead),
		number(idCodecDelay, uint64(w.preSkip)*1_000_000_000/sampleRate), number(idSeekPreRoll, seekPreRoll),
		master(idAudio, float(idSamplingFrequency, sampleRate), number(idChannels, 1))))
	return master(idTracks, all...)
}
