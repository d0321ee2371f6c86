package transport

import (
	"maps"
	"time"
)

// bucket is a token bucket, full at first; its user says how much it holds and how fast it fills.
type bucket struct {
	tokens float64
	last   time.Time
}

func (b *bucket) take(now time.Time, n, burst, perSecond float64) bool {
	if b.last.IsZero() {
		b.tokens = burst
	} else {
		b.tokens = min(burst, b.tokens+now.Sub(b.last).Seconds()*perSecond)
	}
	b.last = now
	if b.tokens < n {
		return false
	}
	b.tokens -= n
	return true
}

// spend takes n, if need be in advance, and returns how long it takes until that much has come in.
func (b *bucket) spend(now time.Time, n, burst, perSecond float64) time.Duration {
	if b.take(now, n, burst, perSecond) {
		return 0
	}
	b.tokens -= n
	return time.Duration(-b.tokens / perSecond * float64(time.Second))
}

// buckets is a token bucket for each key. Its user locks it.
type buckets[K comparable] struct {
	burst, perSecond float64
	most             int  // remembered, before those that are full again, and so say nothing, are forgotten
	strict           bool // while none of the most is full, whoever is new is refused
	of               map[K]*bucket
}

func (b *buckets[K]) take(key K, n float64, now time.Time) bool {
	one := b.of[key]
	if one == nil {
		if len(b.of) >= b.most {
			maps.DeleteFunc(b.of, func(_ K, old *bucket) bool { return now.Sub(old.last).Seconds() > b.burst/b.perSecond })
		}
		if b.strict && len(b.of) >= b.most {
			return false
		}
		one = &bucket{}
		b.of[key] = one
	}
	return one.take(now, n, b.burst, b.perSecond)
}

// cappedBuckets are buckets, and one for all keys together, from which is taken what one key's has.
type cappedBuckets[K comparable] struct {
	buckets[K]
	all                    bucket
	burstAll, perSecondAll float64
}

func (b *cappedBuckets[K]) take(key K, n float64, now time.Time) bool {
	return b.buckets.take(key, n, now) && b.all.take(now, n, b.burstAll, b.perSecondAll)
}
