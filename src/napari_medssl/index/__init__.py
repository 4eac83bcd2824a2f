"""Search the tiles of slides by what they look like: a library of embeddings on disk.

For a program that searches (a window, a notebook):

    from napari_medssl.index import Library, open_collection

    library = Library.open("biopsies")           # UserError if there is none
    library.collections                          # one for each encoder set-up: `.set_up`
    found = open_collection(library, "imagenet") # or without a name if there is only one
    found.slides                                 # SlideRecord: fingerprint, path, patient, tiles
    found.problems                               # (fingerprint, reason) of what is damaged

    tile = found.nearest_tile(fingerprint, (x, y))    # level-0 point; `tile.holds((x, y))`
    query = found.vector(tile)                        # (D,), unit length
    result = found.search(query, top=50, exclude_slides={fingerprint}, exclude_tiles=[tile])
    result.hits[0]                               # Hit(tile, similarity), best first
    result.recall                                # 1.0: exact; else measured

    scores = found.score_slide(query, fingerprint)    # heatmap: .tiles x, y, size; .similarity
    query = found.combine([tile, another], [unwanted])  # several examples, + and -
    found.refresh()                              # slides that came since; cheap if none did

Vectors of tiles from anywhere else are made by `backend.encoders.make_encoder`, whose sha256
`set_up.check_encoder` compares with the collection's; `backend.search_query` is the example.
Everything here may be called from any thread, blocks, and imports faiss at the first search;
opening takes less than a second for a million tiles. Errors are `UserError`, one line each.

Slides are added by `backend.index_slides.index_slides` (in a compute process: it needs torch); its
`towards` says what a person looks at (`backend.index_live` from another process), and
`score_slide` has the tiles embedded so far. They are taken out by `remove_slides`. Readers need not
close anything while that happens. The layout on disk: `index.library`, `index.arrays`,
`index.flat`.
"""

from napari_medssl.index.arrays import TILE
from napari_medssl.index.collection import SearchCollection, open_collection
from napari_medssl.index.library import CollectionFolder, Library
from napari_medssl.index.results import Hit, SearchResult, SlideScores, Tile
from napari_medssl.index.set_up import SetUp, check_encoder
from napari_medssl.index.slide_record import SlideRecord

__all__ = [
    "TILE",
    "CollectionFolder",
    "Hit",
    "Library",
    "SearchCollection",
    "SearchResult",
    "SetUp",
    "SlideRecord",
    "SlideScores",
    "Tile",
    "check_encoder",
    "open_collection",
]
