#!/usr/bin/env bash
# Make the model that ships, from nothing: three hours on two cores, 45 GB of disk.
#
#     scripts/make_model.sh [FOLDER]       FOLDER holds tiles and runs; default runs
#
# It learns twice, each time from specimens that it has not seen, then goes on with those of the
# reference microscope alone; what ships is the mean of the last two. (For the model that ships, the
# tiles of the first time had been rendered before sparse fields got more planes than others.)
set -euo pipefail

folder=${1:-runs}

render() { # SEED TILES
    edge-af-train render "$folder/data" --split train --optics mixed --tiles "$2" --seed "$1"
    edge-af-train render "$folder/data" --split validation --optics mixed --tiles 3000 --seed "$1"
}

fit() { # RUN SEED OPTION...
    edge-af-train fit "$folder/$1" "${@:3}" --recipe edge-af \
        --data "$folder/data/train-mixed-$2.csv" \
        --validation "$folder/data/validation-mixed-$2.csv"
}

# Of mixed tiles every other field is the reference microscope's: those whose number is even.
even() { # SPLIT
    awk -F, 'NR == 1 || substr($5, length($5)) % 2 == 0' \
        "$folder/data/$1-mixed-3.csv" > "$folder/data/$1-mixed-3-even.csv"
}

render 2 78080
fit first 2 --epochs 11 --seed 1
render 3 120000
fit both 3 --from "$folder/first" --epochs 6 --learning-rate 1.5e-3 --seed 3
even train
even validation
fit reference 3-even --from "$folder/both" --epochs 4 --learning-rate 1e-3 --seed 5
edge-af-train average "$folder/spectral-mobilenet" "$folder/both" "$folder/reference"
edge-af-convert "$folder/spectral-mobilenet" -o edge_af/models/spectral-mobilenet.tflite \
    --report "$folder/spectral-mobilenet/report.html"
