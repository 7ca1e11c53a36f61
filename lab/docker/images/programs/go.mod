module firstlight.dev/lab/images

go 1.25.5
