package web_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
)

// looksTheSame reports whether the picture at a path is as good as a new one: a
// time or an ID in it may differ, so it is kept while few pixels do.
func looksTheSame(path string, shot []byte) bool {
	old, err := os.ReadFile(path) //nolint:gosec // our own pictures
	if err != nil {
		return false
	}
	before, err := png.Decode(bytes.NewReader(old))
	if err != nil {
		return false
	}
	after, err := png.Decode(bytes.NewReader(shot))
	if err != nil || before.Bounds() != after.Bounds() {
		return false
	}
	const enough = 0.015 // of all pixels
	return differing(before, after) < enough
}

func differing(a, b image.Image) float64 {
	bounds, n := a.Bounds(), 0
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			if a.At(x, y) != b.At(x, y) {
				n++
			}
		}
	}
	return float64(n) / float64(bounds.Dx()*bounds.Dy())
}
