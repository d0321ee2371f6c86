#!/bin/sh
# Regenerates the bundled media: three synthetic voices and three moving
# pictures, small enough to live in the repository. Needs ffmpeg (with libopus,
# libvpx and libx264) and espeak-ng. Encoders change between versions, so the
# files may come out with other bytes and the same content.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run() { ffmpeg -v error -nostdin -y "$@"; }

# speech NAME CHANNELS BITRATE VOICE SPEED PITCH TEXT
# Constant bit rate and no DTX, as the library sends: packet sizes leak speech.
# One 20 ms packet a page.
speech() {
	espeak-ng -v "$4" -s "$5" -p "$6" -w "$work/$1.wav" "$7"
	run -i "$work/$1.wav" -af "apad=pad_dur=0.5" -t 15 -ar 48000 -ac "$2" \
		-c:a libopus -b:a "$3" -vbr off -application voip -frame_duration 20 \
		-map_metadata -1 -fflags +bitexact -flags:a +bitexact -page_duration 20000 -serial_offset 0 "$1.ogg"
}

speech speech-1 1 24k fr+m3 150 45 "Bonjour, ici la première voix. Je lis un texte \
préparé pour essayer le son d'une réunion. Le jardin est calme, la fenêtre est \
ouverte, et le café est encore chaud. Merci de votre attention."
speech speech-2 1 24k en-gb+f3 150 60 "Hello, this is the second voice. I am \
reading a prepared text to test the sound of a meeting. The garden is quiet, the \
window is open, and the coffee is still warm. Thank you for listening."
speech speech-3 2 28k fr+f4 160 70 "Bonjour, ici la troisième voix, en stéréo. \
Un, deux, trois, quatre, cinq. Le train traverse la plaine, la rivière descend \
vers la mer, et le soleil se couche. À bientôt, et bonne journée."

# Pictures move all the time, so that a frozen one is seen at once. Key frames
# come often, since a file can't answer a request for one.
run -f lavfi -i "testsrc2=size=320x180:rate=15:duration=12" -pix_fmt yuv420p \
	-c:v libvpx -deadline good -cpu-used 1 -b:v 45k -maxrate 60k -bufsize 90k \
	-g 30 -keyint_min 30 -auto-alt-ref 0 -lag-in-frames 0 -error-resilient 1 picture-1.ivf
run -f lavfi -i "mandelbrot=size=320x180:rate=15:maxiter=200:end_scale=0.1" -t 12 -pix_fmt yuv420p \
	-c:v libvpx-vp9 -deadline realtime -cpu-used 5 -b:v 30k -maxrate 40k -bufsize 60k \
	-g 30 -keyint_min 30 -auto-alt-ref 0 -lag-in-frames 0 -error-resilient 1 picture-2.ivf
run -f lavfi -i "testsrc=size=320x180:rate=30:duration=12" -pix_fmt yuv420p \
	-c:v libx264 -profile:v baseline -preset veryslow -b:v 45k -maxrate 60k -bufsize 60k \
	-g 30 -keyint_min 30 -sc_threshold 0 -bf 0 -threads 1 \
	-x264-params "repeat-headers=1:aud=0:slices=1" -bsf:v "filter_units=remove_types=6" picture-3.h264
