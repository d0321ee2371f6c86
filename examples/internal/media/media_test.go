package media_test

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/huisclos/huisclos/examples/internal/media"
	"github.com/huisclos/huisclos/examples/internal/mediafile"
)

func TestListsNameEveryFile(t *testing.T) {
	entries, err := fs.ReadDir(media.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	var names []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
		names = append(names, entry.Name())
	}
	listed := append(media.Speech(), media.Pictures()...)
	slices.Sort(listed)
	if !slices.Equal(names, listed) {
		t.Errorf("files %v, listed %v", names, listed)
	}
	if total > 400<<10 {
		t.Errorf("%d bytes in all, want at most 400 KB", total)
	}
}

// The files are what doc.go says: speech at a constant rate, pictures with a
// key frame every two seconds at least.
func TestFiles(t *testing.T) {
	for _, name := range append(media.Speech(), media.Pictures()...) {
		s, err := mediafile.OpenFS(media.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Duration(); d < 11*time.Second || d > 15*time.Second {
			t.Errorf("%s lasts %v", name, d)
		}
		size, key := 0, time.Duration(0)
		for {
			f, err := s.Next()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if f.KeyFrame {
				key = f.At
			}
			if f.At-key > 2*time.Second {
				t.Fatalf("%s: no key frame between %v and %v", name, key, f.At)
			}
			if s.Kind() == webrtc.RTPCodecTypeAudio && size != 0 && len(f.Data) != size {
				t.Fatalf("%s: a packet of %d bytes at %v, others have %d", name, len(f.Data), f.At, size)
			}
			size = len(f.Data)
		}
	}
}
