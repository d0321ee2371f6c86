package recorder

import "encoding/hex"

// blackFrames are one black key frame of 320×180 each, by codec: made by ffmpeg with
//
//	-f lavfi -i color=black:s=320x180:d=0.04:r=25 -frames:v 1 -c:v libvpx -b:v 20k (or libvpx-vp9)
var blackFrames = map[string][]byte{
	"V_VP8": bytesOf("f00e009d012a4001b400004708858588858488020200061604f70681649f6bdb9b27387b27387b27387b27387b27387b27387b27387b27" +
		"387b27387b27387b27387b27387b27387b27387b27387b27387b27387b27387b27387b27387b27387b27387b27387b27387b27387b2738" +
		"7b27387b27387b27387b27387b27387b272e00feffab5080"),
	"V_VP9": bytesOf("824983420013f00b360038241c192c00005061f63000006682cc9ddc5a9baedf4d10"),
}

func bytesOf(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil { // a constant of ours
		panic(err)
	}
	return b
}
