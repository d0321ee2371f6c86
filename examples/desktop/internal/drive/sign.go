package drive

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
)

// Sign is what somebody's camera sees and their microphone hears, to be recognised at the far end: two colours side by
// side above a bar that moves, and a beep.
type Sign struct {
	Left, Right color.RGBA
	Tone        int // Hz, 300 to 3000
}

// The size of a Sign's picture, and how it moves.
const (
	signWidth  = 640
	signHeight = 360
	signRate   = 15 // frames a second
	signFrames = 30 // then it begins again
	barHeight  = 40
	soundRate  = 48000
)

// Write writes both as files that Chromium takes for devices: picture.y4m and sound.wav.
func (s Sign) Write(dir string) (picture, sound string, err error) {
	picture, sound = filepath.Join(dir, "picture.y4m"), filepath.Join(dir, "sound.wav")
	if err := s.writePicture(picture); err != nil {
		return "", "", err
	}
	return picture, sound, s.writeSound(sound)
}

func (s Sign) writePicture(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	_, _ = fmt.Fprintf(w, "YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420mpeg2\n", signWidth, signHeight, signRate)
	for n := range signFrames {
		_, _ = w.WriteString("FRAME\n")
		s.frame(w, n)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// frame writes the three planes of one frame.
func (s Sign) frame(w *bufio.Writer, n int) {
	at := func(x, y int) (l, cb, cr byte) {
		switch {
		case y >= signHeight-barHeight: // the bar that moves
			if first := n * signWidth / signFrames; x >= first && x < first+40 {
				return 235, 128, 128
			}
			return 16, 128, 128
		case x < signWidth/2:
			return videoColour(s.Left)
		}
		return videoColour(s.Right)
	}
	for y := range signHeight {
		for x := range signWidth {
			l, _, _ := at(x, y)
			_ = w.WriteByte(l)
		}
	}
	for plane := range 2 {
		for y := 0; y < signHeight; y += 2 {
			for x := 0; x < signWidth; x += 2 {
				_, cb, cr := at(x, y)
				_ = w.WriteByte([]byte{cb, cr}[plane])
			}
		}
	}
}

// videoColour is the colour in BT.601, limited range.
func videoColour(c color.RGBA) (l, cb, cr byte) {
	r, g, b := float64(c.R)/255, float64(c.G)/255, float64(c.B)/255
	y := 0.299*r + 0.587*g + 0.114*b
	return byte(16 + 219*y), byte(128 + 112*(b-y)/0.886), byte(128 + 112*(r-y)/0.701)
}

// writeSound writes four seconds of beeps: a steady tone would be taken for noise, and be suppressed.
func (s Sign) writeSound(path string) error {
	const seconds = 4
	samples := make([]int16, seconds*soundRate)
	for i := range samples {
		t := float64(i) / soundRate
		in := math.Mod(t, 0.5) // 0.3 s of tone, 0.2 s of silence, with soft ends
		loud := max(0, min(1, in/0.01, (0.3-in)/0.01))
		samples[i] = int16(12000 * loud * math.Sin(2*math.Pi*float64(s.Tone)*t))
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	size := uint32(2 * len(samples))
	header := []any{
		[]byte("RIFF"), 36 + size, []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(soundRate), uint32(2 * soundRate),
		uint16(2), uint16(16), []byte("data"), size, samples,
	}
	w := bufio.NewWriter(f)
	for _, part := range header {
		if err := binary.Write(w, binary.LittleEndian, part); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
