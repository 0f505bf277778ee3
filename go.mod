module github.com/signetfs/signet

go 1.26
