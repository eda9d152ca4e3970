package pagetest

import "math"

// Colour is red, green and blue of sRGB.
type Colour [3]uint8

// EnoughContrast is what text of any size needs: WCAG 2.2, success criterion
// 1.4.3, level AA.
const EnoughContrast = 4.5

// Contrast is the contrast ratio of two colours, from 1 to 21: WCAG 2.2,
// "contrast ratio" and "relative luminance".
func Contrast(a, b Colour) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(c Colour) float64 {
	weights := [3]float64{0.2126, 0.7152, 0.0722}
	sum := 0.0
	for i, v := range c {
		s := float64(v) / 255
		if s <= 0.04045 {
			s /= 12.92
		} else {
			s = math.Pow((s+0.055)/1.055, 2.4)
		}
		sum += weights[i] * s
	}
	return sum
}
