// Package media holds a few seconds of synthetic speech and moving pictures,
// so that the example programs have something to send without a microphone, a
// camera or files on disk.
//
// Nobody is heard or seen in them: the voices are made by a speech synthesiser,
// the pictures are test patterns. generate.sh makes them again.
//
//	speech-1.ogg    Opus 24 kbit/s, mono, French
//	speech-2.ogg    Opus 24 kbit/s, mono, English
//	speech-3.ogg    Opus 28 kbit/s, stereo, French
//	picture-1.ivf   VP8, 320x180, 15 frames a second
//	picture-2.ivf   VP9, 320x180, 15 frames a second
//	picture-3.h264  H.264 Constrained Baseline, 320x180, 30 frames a second
//
// The speech is at constant bit rate and without discontinuous transmission,
// one 20 ms packet a page; the pictures have a key frame every one or two
// seconds, for those who join late.
//
// The package never reads or writes anything outside the program itself.
package media
