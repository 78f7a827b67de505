package jsonata

import "math"

func aggregateFunctions(add adder) {
	add("sum", "<a<n>:n>", 1, onNumbers(func(nums []value) (value, error) {
		return numberValue(total(nums)), nil
	}))
	add("count", "<a:n>", 1, func(c call) (value, error) {
		return numberValue(float64(c.arg(0).length())), nil
	})
	add("max", "<a<n>:n>", 1, onNumbers(func(nums []value) (value, error) {
		return extreme(nums, func(a, b float64) bool { return a > b }), nil
	}))
	add("min", "<a<n>:n>", 1, onNumbers(func(nums []value) (value, error) {
		return extreme(nums, func(a, b float64) bool { return a < b }), nil
	}))
	add("average", "<a<n>:n>", 1, onNumbers(func(nums []value) (value, error) {
		if len(nums) == 0 {
			return value{}, nil
		}
		return numberValue(total(nums) / float64(len(nums))), nil
	}))
}

func onNumbers(f func([]value) (value, error)) func(call) (value, error) {
	return func(c call) (value, error) {
		if !c.arg(0).defined() {
			return value{}, nil
		}
		items := c.arg(0).items()
		if err := c.ev.work(len(items)); err != nil {
			return value{}, err
		}
		return f(items)
	}
}

func total(nums []value) float64 {
	sum := 0.0
	for _, n := range nums {
		sum += n.num
	}
	return sum
}

func extreme(nums []value, better func(a, b float64) bool) value {
	if len(nums) == 0 {
		return value{}
	}
	best := nums[0].num
	for _, n := range nums {
		// As in JavaScript, what is no number wins.
		if math.IsNaN(n.num) {
			return n
		}
		if better(n.num, best) {
			best = n.num
		}
	}
	return numberValue(best)
}
