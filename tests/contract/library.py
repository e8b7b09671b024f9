"""A made-up contract that has what ours lacks: it proves that nothing is made for one API alone."""

from typing import Final

LIBRARY: Final = """
openapi: 3.1.0
info: {title: A library, version: "1", x-longcat-examples-complete: true}
servers:
  - url: https://{region}.books.test/v1
    variables: {region: {default: eu}}
  - url: https://mirror.books.test
security:
  - token: []
  - key: []
paths:
  /shelves/{shelf}/books/{book_id}:
    parameters:
      - {name: shelf, in: path, required: true, schema: {type: string}}
    get:
      operationId: get_book
      parameters:
        - {name: book_id, in: path, required: true, schema: {type: integer}}
        - {name: language, in: query, schema: {enum: [de, en]}}
        - {name: edition, in: query, required: true, schema: {type: integer, minimum: 1}}
      responses:
        "200":
          description: A book.
          headers:
            ETag: {required: true, schema: {type: string, minLength: 2}}
            X-Sunset-Policy: {schema: {type: string}}
          content:
            application/json:
              schema: {$ref: "#/components/schemas/Book"}
              example: {book_id: 7, title: Mira, pages: 12, size: {height: 20, width: 12}, tags: [old], subject: null}
            text/plain:
              schema: {type: string, maxLength: 100}
        "401": {$ref: "#/components/responses/Refused"}
        4XX: {$ref: "#/components/responses/Refused"}
    delete:
      operationId: delete_book
      parameters:
        - {name: book_id, in: path, required: true, schema: {type: integer}}
      responses:
        "204": {description: Gone.}
        default: {$ref: "#/components/responses/Refused"}
  /books:
    post:
      security: []
      requestBody:
        required: true
        content:
          application/json:
            schema:
              allOf:
                - {type: object, required: [title], properties: {title: {type: string, minLength: 1}}}
                - {type: object, properties: {pages: {type: integer}}}
          application/x-www-form-urlencoded: {schema: {type: object}}
      responses:
        "201":
          description: Made.
          content:
            application/json:
              schema:
                anyOf:
                  - {$ref: "#/components/schemas/Book"}
                  - {type: object, required: [ticket], properties: {ticket: {type: string}}}
              examples:
                made: {value: {ticket: abc}}
        "422": {$ref: "#/components/responses/Refused"}
  /covers/{name}.png:
    get:
      operationId: get_cover
      parameters:
        - {name: name, in: path, required: true, schema: {type: string}}
      responses:
        "200": {description: A picture., content: {image/*: {}}}
        "404": {description: None., content: {}}
  /books/{book_id}/chapters:
    get:
      operationId: list_chapters
      deprecated: true
      parameters:
        - {name: book_id, in: path, required: true, schema: {type: string}}
      responses:
        2XX:
          description: All of them.
          content:
            application/vnd.books+json:
              schema: {type: array, items: {$ref: "#/components/schemas/Chapter"}}
components:
  securitySchemes:
    token: {type: http, scheme: bearer}
    key: {type: apiKey, in: query, name: key}
  responses:
    Refused:
      description: No.
      content:
        application/json:
          schema: {$ref: "#/components/schemas/Problem"}
  schemas:
    Problem:
      type: object
      required: [code, message]
      properties: {code: {type: integer}, message: {type: string}}
    Named:
      type: object
      required: [title]
      properties: {title: {type: string}}
    Book:
      allOf:
        - {$ref: "#/components/schemas/Named"}
        - type: object
          required: [book_id, pages, size]
          properties:
            book_id: {type: integer}
            pages: {type: integer, exclusiveMinimum: 0}
            subject: {type: [string, "null"]}
            size:
              type: object
              required: [height, width]
              properties: {height: {type: number}, width: {type: number}}
            tags: {type: array, uniqueItems: true, items: {type: string}}
            extra: {type: object}
            sequel: {$ref: "#/components/schemas/Book"}
    Chapter:
      oneOf:
        - {type: object, required: [kind, text], properties: {kind: {const: text}, text: {type: string}}}
        - type: object
          required: [kind, url]
          properties: {kind: {enum: [image, film]}, url: {type: string, format: uri}}
"""
