module github.com/cilium/charts

go 1.25.5
