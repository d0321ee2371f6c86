// Package mediafile reads media files into RTP packets with their times, and
// writes received RTP packets into files that ordinary players open.
//
//	speech.ogg  ──► Source ──► frames ──► packets ──► a webrtc.TrackLocal
//	picture.ivf        └─ exact times, checked before the first packet
//
//	a remote track ──► Recorder ──► reorder ──► whole frames ──► member.ogg
//	                                   └─ a frame with a hole is left out
//
// Formats: Ogg with Opus (.ogg), IVF with VP8, VP9 or AV1 (.ivf), and H.264 in
// the byte stream format of its Annex B (.h264).
//
// A [Source] holds the whole file in memory and checks it when it is opened, so
// a program can refuse a bad file before it joins a meeting. A [Recorder]
// writes a frame only when every packet of it has come and the frames it builds
// on are in the file, so a recording never shows a damaged picture.
//
// The package never decodes or encodes sound or pictures, opens no connection,
// starts no goroutine and reads no clock: the caller sends each frame when its
// time has come.
package mediafile
