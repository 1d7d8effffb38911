#!/usr/bin/env bash
# Train, convert and compare the paper's networks and ours, as docs/study.md has them.
#
#     scripts/make_study.sh [FOLDER]       FOLDER holds tiles and runs; default runs/study
#
# How long it takes is up to TILES, TILE_PX and EPOCHS (of the paper's networks), and OUR_TILES and
# OUR_EPOCHS. As they stand: some ten minutes on two idle cores, which is next to no training.
# TILES=6800 TILE_PX=224 EPOCHS=20 is what the paper did, and wants a GPU.
set -euo pipefail

folder=${1:-runs/study}
tiles=${TILES:-160} side=${TILE_PX:-64} epochs=${EPOCHS:-2}
our_tiles=${OUR_TILES:-1200} our_epochs=${OUR_EPOCHS:-12}

render() { # SPLIT TILES TILE_PX
    edge-af-train render "$folder/data" --split "$1" --optics reference --tiles "$2" --tile-px "$3"
}

fit() { # NAME SUFFIX-OF-MANIFESTS OPTION...
    edge-af-train fit "$folder/$1" --arch "$1" "${@:3}" \
        --data "$folder/data/train-reference$2-1.csv" \
        --validation "$folder/data/validation-reference$2-1.csv"
    edge-af-convert "$folder/$1" -o "$folder/$1/model.tflite" --max-drift-um 10
}

render train "$tiles" "$side"
render validation "$((tiles / 3 + 32))" "$side"
render train "$our_tiles" 256
render validation "$((our_tiles / 4))" 256
suffix=-${side}px
[ "$side" != 256 ] || suffix=
for name in mobilenetv2 resnet50 vgg16 vgg19; do
    fit "$name" "$suffix" --recipe paper --epochs "$epochs"
done
fit spectral-mobilenet "" --epochs "$our_epochs" --batch 64
edge-af-train compare "$folder"/{mobilenetv2,resnet50,vgg16,vgg19,spectral-mobilenet} \
    edge_af/models/spectral-mobilenet.tflite --reference --tiles 300
