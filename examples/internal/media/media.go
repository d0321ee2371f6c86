package media

import "embed"

// FS holds the files named in [Speech] and [Pictures]; they are opened with
// mediafile.OpenFS.
//
//go:embed *.ogg *.ivf *.h264
var FS embed.FS

// Speech lists the audio files of [FS].
func Speech() []string {
	return []string{"speech-1.ogg", "speech-2.ogg", "speech-3.ogg"}
}

// Pictures lists the video files of [FS].
func Pictures() []string {
	return []string{"picture-1.ivf", "picture-2.ivf", "picture-3.h264"}
}
